//! The `qd` binary: hands its arguments to [`quarterdeck::wiring`].

use std::process::ExitCode;

fn main() -> ExitCode {
    quarterdeck::wiring::run(std::env::args_os().collect())
}
