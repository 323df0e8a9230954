//! Runs one call and writes what it came to.

use std::io::{IsTerminal as _, Write};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::command::{Asked, Format};
use super::render::{render, safe_lines};
use super::watch::Writer;
use crate::base::{ActorKind, Code, Error, Result, SafeText, tty};
use crate::gate::{Client, Held, Preview, Reply, Request, Talk, talk};

/// Why writing stopped.
enum Stop {
    Failed(Error),
    /// The reader closed the pipe: it has read enough, and nothing is wrong.
    PipeClosed,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

/// Runs the call for `client`'s actor, writes to stdout and stderr, and gives the exit code.
pub async fn run(client: &Client, asked: Asked) -> Result<u8> {
    let schema = asked.form.input();
    let named = asked.arguments["cluster"].as_str().map(str::to_owned);
    let chosen = asked.arguments["container"].is_string();
    match perform(client, asked).await {
        Ok(code) => Ok(code),
        Err(Stop::PipeClosed) => Ok(0),
        Err(Stop::Failed(error)) => Err(match named {
            Some(name) if !chosen => meant_container(&schema, &name, error),
            _ => error,
        }),
    }
}

/// kubectl's `-c` is a container and ours is a context: where there is no context of that name, and the operation takes
/// a container, the flag for it is told.
fn meant_container(schema: &Value, name: &str, error: Error) -> Error {
    let unknown = error.code == Code::NotFound && error.message.contains(&format!("no context {name:?}"));
    if !unknown || schema["properties"]["container"].is_null() {
        return error;
    }
    let before = error.next_step().to_owned();
    error.next(format!("-c is the context; if {name:?} is a container, write --container {name}. {before}"))
}

async fn perform(client: &Client, asked: Asked) -> Result<u8, Stop> {
    let mut asked = asked;
    whole_paths(&asked.form.input(), &mut asked.arguments)?;
    let mut request = Request::new(asked.form.spec.name, asked.arguments.clone());
    request.reason.clone_from(&asked.reason);
    if asked.preview {
        let preview = client.preview(request).await?;
        out(&look(&preview, asked.format)?)?;
        return Ok(0);
    }
    if let Some(reply) = talk_with(client, &asked, &request).await? {
        return Ok(exit_code(&reply));
    }
    if asked.watch {
        return watch(client, request, asked.format).await;
    }
    let output = match client.call(request).await? {
        Reply::Done { output, .. } => output,
        Reply::Held(held) if asked.no_wait => {
            announce(&held);
            let pending = serde_json::to_value(&held).map_err(Error::internal)?;
            out(&render(&pending, asked.format)?.out)?;
            return Ok(0);
        }
        Reply::Held(held) => decided(client, &held).await?,
    };
    let rendered = render(&output, asked.format)?;
    out(&rendered.out)?;
    if !rendered.aside.is_empty() {
        aside(&rendered.aside);
    }
    Ok(exit_code(&output))
}

/// Makes the paths of this machine whole: the session that the call goes to may run in another directory.
fn whole_paths(schema: &Value, arguments: &mut Value) -> Result<()> {
    let Some(properties) = schema["properties"].as_object() else { return Ok(()) };
    for (name, _) in properties.iter().filter(|(_, field)| field["x-local-path"] == Value::Bool(true)) {
        let Some(Value::String(path)) = arguments.get_mut(name) else { continue };
        let remote = path.contains(':') && !path.starts_with(['/', '.', '~']);
        if remote || path.is_empty() || path.starts_with('/') {
            continue;
        }
        let here = std::env::current_dir()
            .map_err(|e| Error::unavailable(format!("the current directory cannot be read: {e}")))?;
        *path = here.join(path.as_str()).display().to_string();
    }
    Ok(())
}

/// Talks with what can be talked with, where a person runs the command; `None` where it is a plain call.
async fn talk_with(client: &Client, asked: &Asked, request: &Request) -> Result<Option<Value>, Stop> {
    let flag = |name: &str| asked.arguments.get(name) == Some(&Value::Bool(true));
    let terminal = match asked.form.spec.talk {
        Talk::No => return Ok(None),
        Talk::Terminal => true,
        Talk::Offered if !flag("tty") => return Ok(None),
        Talk::Pipes | Talk::Offered => flag("tty"),
    };
    let wanted = terminal || flag("interactive");
    let person = client.actor().kind == ActorKind::Person;
    let plain = asked.format != Format::Table || asked.arguments.get("stdin").is_some();
    if !wanted && (plain || !person) {
        return Ok(None);
    }
    if terminal && !tty::is_terminal() {
        return Err(Error::unsupported("this needs a terminal, and standard input or output is none")
            .next("`qd container exec -i POD -- COMMAND` works with pipes.")
            .into());
    }
    let interaction = client.interact(request.clone()).await?;
    let reply = if terminal {
        talk::terminal(interaction).await?
    } else {
        talk::pipes(interaction, flag("interactive")).await?
    };
    match reply {
        Reply::Done { output, .. } => Ok(Some(output)),
        Reply::Held(held) => Ok(Some(decided(client, &held).await?)),
    }
}

/// The output's own `exit_code`, where it has one: `audit_verify` tells tampering from truncation so.
fn exit_code(output: &Value) -> u8 {
    output.get("exit_code").and_then(Value::as_u64).and_then(|n| u8::try_from(n).ok()).unwrap_or(0)
}

fn announce(held: &Held) {
    aside(&format!(
        "{} Approval {}, until {}.",
        held.reason,
        held.approval,
        held.expires_at.strftime("%H:%M:%S UTC")
    ));
}

/// Waits for the decision, saying so. Ctrl-C leaves the call to be decided.
async fn decided(client: &Client, held: &Held) -> Result<Value> {
    announce(held);
    aside("Waiting for a person to decide; Ctrl-C leaves it pending.");
    let progress = std::io::stderr().is_terminal();
    let started = std::time::Instant::now();
    let step = if progress { Duration::from_secs(1) } else { Duration::from_secs(30) };
    loop {
        let waited = tokio::select! {
            waited = client.wait(held.approval, step) => waited?,
            _ = tokio::signal::ctrl_c() => {
                clear(progress);
                return Err(Error::new(Code::Cancelled, format!("left the call pending as {}", held.approval))
                    .next(format!("`qd approval wait {}` waits for it again.", held.approval)));
            }
        };
        if waited.done {
            clear(progress);
            if waited.amended.is_some() {
                aside(
                    "The person changed the arguments before approving: what ran is not what was proposed.",
                );
            }
            return waited
                .into_result()
                .unwrap_or_else(|| Err(Error::internal("decided, but without a result")));
        }
        if progress {
            let left = held.expires_at.as_second().saturating_sub(Timestamp::now().as_second()).max(0);
            let text = format!("\r  {} s, {}:{:02} left ", started.elapsed().as_secs(), left / 60, left % 60);
            let _ = std::io::stderr().write_all(text.as_bytes());
        }
    }
}

/// Removes the progress line.
fn clear(progress: bool) {
    if progress {
        let _ = std::io::stderr().write_all(b"\r\x1b[K");
    }
}

async fn watch(client: &Client, request: Request, format: Format) -> Result<u8, Stop> {
    let namespaces = request.arguments.get("all_namespaces") == Some(&Value::Bool(true));
    let mut watch = client.watch(request).await?;
    let mut writer = Writer::new(format, namespaces);
    loop {
        let frame = tokio::select! {
            frame = watch.next() => frame,
            _ = tokio::signal::ctrl_c() => return Ok(0),
        };
        match frame {
            Some(frame) => out(&writer.frame(&frame?, Timestamp::now().as_second())?)?,
            None => return Ok(0),
        }
    }
}

fn look(preview: &Preview, format: Format) -> Result<String> {
    if format != Format::Table {
        return Ok(render(&serde_json::to_value(preview).map_err(Error::internal)?, format)?.out);
    }
    use crate::gate::DiffOp;
    let mut text = format!("{}\n", preview.target);
    for line in &preview.diff.lines {
        let mark = match line.op {
            DiffOp::Same => ' ',
            DiffOp::Removed => '-',
            DiffOp::Added => '+',
            DiffOp::Hunk => '@',
        };
        text.push_str(&format!("{mark} {}\n", line.text));
    }
    if preview.diff.is_empty() {
        text.push_str("Nothing would change.\n");
    }
    for (title, lines) in
        [("affects", &preview.affects), ("checked", &preview.checks), ("careful", &preview.warnings)]
    {
        for line in lines {
            text.push_str(&format!("{title}   {line}\n"));
        }
    }
    if let Some(equivalent) = &preview.equivalent {
        text.push_str(&format!("as        {equivalent}\n"));
    }
    Ok(safe_lines(&text))
}

fn out(text: &str) -> Result<(), Stop> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Err(Stop::PipeClosed),
        Err(e) => Err(Stop::Failed(
            Error::unavailable(format!("cannot write the result: {e}"))
                .next("Check the space on the disk that the output goes to."),
        )),
    }
}

/// Says something beside the result.
pub fn aside(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", SafeText::new(text));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_container_given_as_context_is_told_its_flag() {
        let unknown =
            || Error::not_found("there is no context \"app\" in the kubeconfig").next("See :clusters.");
        let takes = json!({ "properties": { "cluster": {}, "container": {} } });
        let told = meant_container(&takes, "app", unknown());
        assert_eq!(
            told.next_step(),
            "-c is the context; if \"app\" is a container, write --container app. See :clusters."
        );
        let other = json!({ "properties": { "cluster": {} } });
        assert_eq!(meant_container(&other, "app", unknown()).next_step(), "See :clusters.");
        assert_eq!(meant_container(&takes, "eu-1", unknown()).next_step(), "See :clusters.");
    }
}
