//! The integration tests, in one binary: real servers, the real `qd`, a real pty.

mod bed;
mod clusters;
mod console;
mod doors;
mod house;
mod kube_watch;
mod kubelet;
mod lab;
mod registry;
mod sample;
mod session;
