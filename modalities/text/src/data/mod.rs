//! From tables and folders to token numbers in batches.
