//! The command line: which door, and with what.
//!
//! The first word decides. A command of ours, or a noun with one of its verbs right after it, is
//! parsed by clap; any other words are what the console opens with, as if typed after `:`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, FromArgMatches as _, Parser, Subcommand};

/// Flags that every command takes.
#[derive(Debug, Clone, Default, Args)]
pub struct Common {
    /// Read this configuration file instead of the usual one.
    #[arg(long, global = true, env = "QD_CONFIG", value_name = "FILE", help_heading = "Common")]
    pub config: Option<PathBuf>,
    /// Set one configuration key, over file and environment: --set http.port=7421.
    #[arg(long, global = true, value_name = "KEY=VALUE", help_heading = "Common")]
    pub set: Vec<String>,
    /// The session to open or to join, by name.
    #[arg(long, global = true, env = "QD_SESSION", value_name = "NAME", help_heading = "Common")]
    pub session: Option<String>,
    /// Log more: -v debug, -vv trace. RUST_LOG goes over it. The log is in the state directory.
    #[arg(long, short, global = true, action = ArgAction::Count, help_heading = "Common")]
    pub verbose: u8,
}

/// What was asked for.
pub struct Invocation {
    pub common: Common,
    pub choice: Choice,
}

/// Which door.
pub enum Choice {
    Config(ConfigAction),
    Other(String),
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigAction {
    /// Write a file in which every key is a comment with its default and meaning.
    Init,
    /// Show the values that hold, and where each came from.
    Show,
    /// Read the configuration and say what is wrong with it.
    Check,
}

#[derive(Parser)]
#[command(name = "qd", version, about = "A console from which you and AI agents run infrastructure together")]
struct Tree {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Write, show or check the configuration.
    Config {
        #[command(subcommand)]
        action: ConfigAction,
    },
    #[command(external_subcommand)]
    Words(Vec<OsString>),
}

pub fn parse(arguments: Vec<OsString>) -> Result<Invocation, clap::Error> {
    let matches = <Tree as clap::CommandFactory>::command().try_get_matches_from(arguments)?;
    let tree = Tree::from_arg_matches(&matches)?;
    let choice = match tree.command {
        Some(Command::Config { action }) => Choice::Config(action),
        Some(Command::Words(_)) | None => Choice::Other("console".to_owned()),
    };
    Ok(Invocation { common: tree.common, choice })
}
