//! The shell door: `qd NOUN VERB`.
