//! `qd NOUN VERB`: in the live session where there is one, else in a session of its own.

use super::build::{self, Setting};
use super::join;
use crate::base::{Door, Result};
use crate::cli::{self, Asked};

pub async fn run(mut setting: Setting, asked: Asked) -> Result<u8> {
    let caller = setting.caller(Door::Cli);
    let only = setting.join_the_only_one().await?;
    if let Some(client) = join::client(&setting, caller.clone()).await? {
        if let Some(name) = only {
            cli::aside(&format!("in the session {name:?}, the only one that is open"));
        }
        return cli::run(&client, asked).await;
    }
    let built = build::build(&setting)?;
    let client = built.gate.client(caller);
    let code = cli::run(&client, asked).await;
    built.gate.shutdown().await;
    code
}
