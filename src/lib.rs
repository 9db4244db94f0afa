//! transferkit
