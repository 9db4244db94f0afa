//! Published encoders as graphs.
