//! What `main` needs to build the domains, start a session and open its doors.

mod arguments;
mod assistant;
mod build;
mod configure;
mod console;
mod host;
mod http;
mod join;
mod logging;
mod shell;
mod socket;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use crate::base::{Error, Result};
use crate::gate::{Definition, Form};
use crate::kube::Impersonation;
use arguments::{Choice, Invocation, Stop};

/// Runs `qd` with its arguments, the program's name first.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    if let Some(code) = crate::kube::launch(&arguments) {
        return ExitCode::from(code);
    }
    let forms: Vec<Form> = crate::operations::all().map(Definition::form).collect();
    let own_exits = arguments::has_own_exits(&arguments, &forms);
    let outcome = match arguments::parse(arguments, &forms) {
        Ok(invocation) => start(invocation, &forms),
        Err(Stop::Error(error)) => Err(error),
        Err(Stop::Clap(error)) => {
            // clap writes help to stdout and mistakes to stderr; a closed pipe is no mistake.
            let _ = error.print();
            let mistake = error.exit_code() != 0;
            let code = if own_exits && mistake { 1 } else { u8::try_from(error.exit_code()).unwrap_or(2) };
            return ExitCode::from(code);
        }
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&error, &forms);
            // Where the exit code is the result, nothing else may look like one.
            ExitCode::from(if own_exits { 1 } else { error.code.exit_code() })
        }
    }
}

/// Says an error on stderr: what happened, and what to do next.
fn complain(error: &Error, forms: &[Form]) {
    let text = crate::base::text::sanitize(&error.message).into_owned();
    let next = crate::base::text::sanitize(error.next_step());
    let next = crate::cli::in_shell_words(forms, &next);
    // Nobody reads a closed stderr, and there is no other place to say so.
    let _ = writeln!(std::io::stderr(), "qd: {text}\n    {next}");
}

fn start(invocation: Invocation, forms: &[Form]) -> Result<u8> {
    let common = invocation.common;
    match invocation.choice {
        Choice::Config(action) => return configure::run(action, &common, forms).map(|()| 0),
        Choice::Completions(shell) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut arguments::tree(forms), "qd", &mut script);
            // A reader that closed the pipe has read enough.
            let _ = std::io::stdout().write_all(&script);
            return Ok(0);
        }
        _ => {}
    }
    let (paths, effective) = configure::load(&common)?;
    let _log = logging::start(&paths, &effective.config.log, common.verbose)?;
    // Once, before anything can want TLS; it is set already only where a test installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .thread_name("qd")
        .enable_all()
        .build()
        .map_err(|e| Error::unavailable(format!("cannot start the runtime: {e}")))?;
    let setting = build::Setting {
        read_only: common.readonly || (effective.config.readonly && !common.write),
        write: common.write,
        acting: Impersonation::of(common.as_user.as_deref(), &common.as_group, common.as_uid.as_deref())?,
        paths,
        effective,
        session: common.session,
    };
    let outcome = runtime.block_on(async {
        match invocation.choice {
            Choice::Operation(asked) => shell::run(setting, *asked).await,
            Choice::Mcp { agent } => Box::pin(assistant::run(setting, agent)).await,
            Choice::Serve { conformance_fixtures } => host::serve(setting, conformance_fixtures).await,
            Choice::Console(opening) => console::console(setting, opening).await,
            Choice::Lab(opening) => console::lab(setting, opening).await,
            Choice::Config(_) | Choice::Completions(_) => Ok(0),
        }
    });
    // A blocking read of stdin cannot be cancelled: it must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_named_as_they_are_typed() {
        let forms: Vec<Form> = crate::operations::all().map(Definition::form).collect();
        for (text, said) in [
            ("List the contexts with cluster_list.", "List the contexts with `qd cluster list`."),
            ("`agents_resume` ends that; no cluster_lists", "`qd agents resume` ends that; no cluster_lists"),
            ("", ""),
            ("grant_list", "`qd grant list`"),
            ("é… audit_verify, then", "é… `qd audit verify`, then"),
        ] {
            assert_eq!(crate::cli::in_shell_words(&forms, text), said);
        }
    }
}
