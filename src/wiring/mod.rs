//! What `main` needs to build the domains, start a session and open its doors.

mod arguments;
mod build;
mod configure;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use crate::base::{Error, Result};

/// Runs `qd` with its arguments, the program's name first.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    match choose(arguments) {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            ExitCode::from(error.code.exit_code())
        }
    }
}

/// Says an error on stderr: what happened, and what to do next.
fn complain(error: &Error) {
    let text = crate::base::text::sanitize(&error.message).into_owned();
    let next = crate::base::text::sanitize(error.next_step()).into_owned();
    // Nobody reads a closed stderr, and there is no other place to say so.
    let _ = writeln!(std::io::stderr(), "qd: {text}\n    {next}");
}

fn choose(arguments: Vec<OsString>) -> Result<ExitCode> {
    let invocation = match arguments::parse(arguments) {
        Ok(invocation) => invocation,
        Err(error) => {
            // clap writes help to stdout and mistakes to stderr; a closed pipe is no mistake.
            let _ = error.print();
            return Ok(ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)));
        }
    };
    // Once, before anything can want TLS; it is set already only where a test installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match invocation.choice {
        arguments::Choice::Config(action) => configure::run(action, &invocation.common),
        arguments::Choice::Other(ref what) => {
            let _deck = build::deck()?;
            Err(Error::unsupported(format!("this build has no {what} yet")))
        }
    }
}
