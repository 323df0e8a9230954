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
        return cli::run(&joined.client(caller), asked).await;
    }
    if let (true, Some(name)) = (named, &setting.session) {
        cli::aside(&format!("no session {name:?} is open: this call has one of its own"));
    }
    let built = build::build(&setting)?;
    let client = built.gate.client(caller);
    let code = cli::run(&client, asked).await;
    built.gate.shutdown().await;
    code
}
