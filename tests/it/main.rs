//! The integration tests, in one binary: real servers, the real `qd`, a real pty.

mod bed;
mod clusters;
mod console;
mod house;
mod kube_watch;
mod kubelet;
mod lab;
mod session;
