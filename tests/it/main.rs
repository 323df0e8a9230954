//! The integration tests, in one binary: real servers, the real `qd`, a real pty.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, and reports by printing"
)]

mod agent;
mod approvals;
mod around;
mod audit;
mod bed;
mod clusters;
mod console;
mod doors;
mod drift;
mod faults;
mod files;
mod flood;
mod gitops;
mod heirs;
mod helm;
mod house;
mod http;
mod identity;
mod k9s_files;
mod kube_client;
mod kube_lab;
mod kube_objects;
mod kube_watch;
mod kubelet;
mod lab;
mod many;
mod metrics;
mod notices;
mod parity;
mod registry;
mod relay;
mod rotation;
mod sample;
mod secrets;
mod session;
mod several;
mod streams;
mod verbs;
mod waiting;
