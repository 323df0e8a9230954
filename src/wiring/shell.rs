//! `qd NOUN VERB`: in the live session where there is one, else in a session of its own.

use super::build::{self, Setting};
use super::join;
use crate::base::{Door, Result};
use crate::cli::{self, Asked};
use crate::gate::wire::Purpose;

pub async fn run(mut setting: Setting, asked: Asked) -> Result<u8> {
    let caller = setting.caller(Door::Cli);
    let named = setting.session.is_some();
    if let Some(joined) = join::any(&mut setting, Purpose::Wire, &caller).await? {
        if let (false, Some(name)) = (named, &setting.session) {
            cli::aside(&format!("in the session {name:?}, the only one that is open"));
        }
        if let Some(whom) = joined.welcome.acting.as_deref().filter(|_| setting.acting.is_none()) {
            cli::aside(&format!("the session acts as {whom}"));
        }
        return cli::run(&joined.client(caller), asked).await;
    }
    if let (true, Some(name)) = (named, &setting.session) {
        cli::aside(&format!("no session {name:?} is open: this call has one of its own"));
    }
    let built = build::build(&setting)?;
    let client = built.gate.client(caller);
    let code = cli::run(&client, asked).await;
    serve_forwards(&built).await;
    built.gate.shutdown().await;
    code
}

/// A port-forward made without a session lives as long as this command: until Ctrl-C.
async fn serve_forwards(built: &build::Built) {
    use std::io::Write as _;
    if built.deck.forwards.all().is_empty() {
        return;
    }
    // Nobody reads a closed stderr, and there is no other place to say so.
    let _ = writeln!(std::io::stderr(), "No session is live to hold it: it lasts until Ctrl-C.");
    let _ = tokio::signal::ctrl_c().await;
}
