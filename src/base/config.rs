//! What can be configured: typed sections with their defaults. The field docs are the text of
//! `qd config init`.
//!
//! Values come, each over the ones before, from the defaults, the file `config.yaml`, the
//! environment (`QD_HTTP_PORT` sets `http.port`) and flags. [`load`] knows where each came from.

mod environment;
mod file;
mod load;
mod outline;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use load::{Effective, Inputs, Origin, examine, load};
pub use outline::template;

use super::Role;

/// Quarterdeck's configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Refuse every change, whoever asks for it. `--readonly` and `--write` go over it.
    pub readonly: bool,
    /// Which clusters there are, and where to start.
    #[serde(deserialize_with = "file::section")]
    pub kubernetes: Kubernetes,
    /// The terminal console.
    #[serde(deserialize_with = "file::section")]
    pub screen: Screen,
    /// The live session and its operator.
    #[serde(deserialize_with = "file::section")]
    pub session: Session,
    /// The REST, WebSocket and MCP endpoints.
    #[serde(deserialize_with = "file::section")]
    pub http: Http,
    /// Held calls.
    #[serde(deserialize_with = "file::section")]
    pub approvals: Approvals,
    /// Who may do what.
    #[serde(deserialize_with = "file::section")]
    pub policy: Policy,
    /// The audit log, approvals and grants.
    #[serde(deserialize_with = "file::section")]
    pub store: Store,
    /// The program's own log, in the state directory.
    #[serde(deserialize_with = "file::section")]
    pub log: Log,
}

/// Which clusters there are, and where to start.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Kubernetes {
    /// One kubeconfig file. Empty: those that KUBECONFIG names, else ~/.kube/config.
    pub kubeconfig: PathBuf,
    /// The context to start in. Empty: the kubeconfig's current one.
    pub context: String,
    /// The namespace to start in. Empty: the context's own.
    pub namespace: String,
    /// Where the past of a cluster's CPU and memory is read from, for advice on requests. A list of
    /// {cluster, url, token_file, matchers}.
    pub prometheus: Vec<Prometheus>,
    /// Where else more is known of an object: its logs, its dashboard. A list of {name, kinds, url}; `Alt-l` shows them.
    pub links: Vec<Link>,
}

/// A page outside about an object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// What it is called: logs.
    pub name: String,
    /// The kinds that have it: [pods, deployments.apps]. Empty: every kind.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Its address, with {cluster}, {namespace}, {kind}, {name}, {pod}, {node}, {uid}, {container}, {label:KEY}, or any
    /// {.path.in.the.manifest}. {{ is a brace.
    pub url: String,
}

/// One cluster's Prometheus, or what speaks its HTTP API.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prometheus {
    /// The kubeconfig context.
    pub cluster: String,
    /// Such as https://prometheus.example:9090, with a path where it has one.
    pub url: String,
    /// A file with a bearer token, read at each use. Empty: none is sent.
    #[serde(default)]
    pub token_file: PathBuf,
    /// More label matchers, where it has the series of several clusters: cluster="eu-1".
    #[serde(default)]
    pub matchers: String,
}

/// The terminal console.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Screen {
    /// A theme by name: a shipped one, or a file of the config directory's themes/.
    pub theme: String,
    /// A keymap by name: a shipped one, or a file of the config directory's keymaps/.
    pub keymap: String,
    /// What the console opens with, as after ":". Empty: the pods of the current namespace.
    pub open: String,
    /// Whether the console takes the mouse.
    pub mouse: bool,
    /// How many MiB of log lines one log pane keeps on disk, in the state directory, while it is open. Older ones are
    /// dropped, and counted in its title. 0: lines are kept in memory alone, 256 MiB of them.
    #[schemars(range(max = 1_048_576))]
    #[serde(deserialize_with = "file::between::<0, 1048576, _>")]
    pub log_disk_mib: u32,
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            theme: "default".to_owned(),
            keymap: "default".to_owned(),
            open: String::new(),
            mouse: true,
            log_disk_mib: 2048,
        }
    }
}

/// The live session and its operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Session {
    /// The session's name; `qd mcp` and `qd NOUN VERB` join the one of the same name.
    pub name: String,
    /// The operator's name in the audit log. Empty: the login name.
    pub person: String,
    /// The operator's role.
    pub role: Role,
    /// Whether other programs of the same user can join through the socket.
    pub socket: bool,
}

impl Default for Session {
    fn default() -> Self {
        Self { name: "default".to_owned(), person: String::new(), role: Role::Operator, socket: true }
    }
}

/// The REST, WebSocket and MCP endpoints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Whether to listen at all.
    pub enabled: bool,
    /// The address to listen on. Anything but loopback needs `hosts` too.
    pub address: std::net::IpAddr,
    /// The port; another is chosen, and said, if this one is taken. 0: any free one.
    pub port: u16,
    /// Host names, besides the loopback ones, by which clients may call.
    pub hosts: Vec<String>,
    /// The largest request body, in KiB.
    #[schemars(range(min = 1, max = 65_536))]
    #[serde(deserialize_with = "file::between::<1, 65536, _>")]
    pub body_kib: u32,
    /// How long one request may take, in seconds. Watches and events are not bounded.
    #[schemars(range(min = 1, max = 3600))]
    #[serde(deserialize_with = "file::between::<1, 3600, _>")]
    pub timeout_seconds: u32,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            enabled: true,
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            port: 7420,
            hosts: Vec::new(),
            body_kib: 1024,
            timeout_seconds: 60,
        }
    }
}

/// Held calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Approvals {
    /// How long a held call waits for its decision, in seconds.
    #[schemars(range(min = 10, max = 86_400))]
    #[serde(deserialize_with = "file::between::<10, 86400, _>")]
    pub expire_seconds: u32,
    /// Whether persons may decide in a shell too, not at the screen alone. An agent that has a shell could
    /// then decide in your name.
    pub decide_elsewhere: bool,
}

impl Default for Approvals {
    fn default() -> Self {
        Self { expire_seconds: 300, decide_elsewhere: false }
    }
}

/// Who may do what.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// A directory of Cedar policies in addition to the shipped ones. Empty: policies/ of the config directory.
    pub directory: PathBuf,
}

/// The audit log, approvals and grants.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// The database file. Empty: quarterdeck.db of the state directory.
    pub database: PathBuf,
}

/// The program's own log, in the state directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// What to log, as RUST_LOG: "info", or "warn,quarterdeck::kube=debug".
    pub level: String,
    /// The size in MiB at which the file is rotated.
    #[schemars(range(min = 1, max = 1024))]
    #[serde(deserialize_with = "file::between::<1, 1024, _>")]
    pub max_mib: u32,
    /// How many rotated files to keep.
    #[schemars(range(max = 100))]
    #[serde(deserialize_with = "file::between::<0, 100, _>")]
    pub keep: u32,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), max_mib: 10, keep: 3 }
    }
}
