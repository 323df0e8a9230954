//! One operation, defined in this file alone, appears at every door.

use std::sync::Arc;

use quarterdeck::base::{Actor, ActorKind, Door, Result, Role, SystemClock};
use quarterdeck::bus::Bus;
use quarterdeck::gate::{
    Context, Definition, Gate, Operation, Parts, Policy, Settings, Spec, Target, bind, define,
};
use quarterdeck::store::{SqliteOptions, SqliteStore};
use quarterdeck::{cli, mcp, rest};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tower::ServiceExt as _;

/// How high.
#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
struct TideGetInput {
    /// The harbour's name.
    name: String,
    /// In feet instead of metres.
    #[arg(long)]
    #[serde(default)]
    feet: bool,
}

#[derive(serde::Serialize, schemars::JsonSchema)]
struct TideGetOutput {
    name: String,
    height: i64,
}

struct TideGet;

impl Operation for TideGet {
    type Deck = ();
    type Input = TideGetInput;
    type Output = TideGetOutput;
    const SPEC: Spec = Spec::observe("tide_get", "/v1/tides/{name}", "Say how high the tide is.");

    fn target(input: &Self::Input) -> Target {
        Target { name: input.name.clone(), ..Target::own("tide") }
    }

    async fn run(_: Arc<()>, _: Context, input: Self::Input) -> Result<Self::Output> {
        Ok(TideGetOutput { name: input.name, height: if input.feet { 10 } else { 3 } })
    }
}

const LIST: &[Definition<()>] = &[define::<TideGet>()];

fn gate(directory: &std::path::Path) -> Gate {
    let clock = Arc::new(SystemClock);
    let store = SqliteStore::open(SqliteOptions::new(directory, clock.clone())).unwrap();
    Gate::new(Parts {
        operations: bind(LIST, &Arc::new(())),
        bus: Bus::default(),
        clock,
        store: Arc::new(store),
        policy: Policy::load(&directory.join("policies")).unwrap(),
        settings: Settings::default(),
        redactor: Arc::default(),
    })
    .unwrap()
}

async fn http(gate: &Gate, uri: &str) -> (u16, Value) {
    let options = rest::Options {
        body_limit: 1024,
        timeout: std::time::Duration::from_secs(5),
        stop: tokio_util::sync::CancellationToken::new(),
    };
    let actor = Actor::new(ActorKind::Client, "test", Role::Operator, Door::Rest);
    let mut request = http::Request::builder().uri(uri).body(axum::body::Body::empty()).unwrap();
    request.extensions_mut().insert(Arc::new(actor));
    let response = rest::router(gate.clone(), options).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn an_operation_in_one_file_is_a_tool_a_route_a_command_and_a_palette_entry() {
    let directory = tempfile::tempdir().unwrap();
    let gate = gate(directory.path());

    // The palette is made of the catalogue.
    let client = gate.client(Actor::operator("ana"));
    assert!(client.catalogue().iter().any(|o| o.name == "tide_get" && o.summary.contains("tide")));

    let (status, body) = http(&gate, "/v1/tides/Port%20Royal?feet=true").await;
    assert_eq!((status, &body), (200, &json!({ "name": "Port Royal", "height": 10 })));
    let (_, document) = http(&gate, "/v1/openapi.json").await;
    assert_eq!(document["paths"]["/v1/tides/{name}"]["get"]["operationId"], "tide_get");

    let forms = [LIST[0].form()];
    let qd = clap::Command::new("qd").subcommands(cli::nouns(&forms));
    let matches = qd.try_get_matches_from(["qd", "tide", "get", "Tortuga", "--feet"]).unwrap();
    let (noun, below) = matches.subcommand().unwrap();
    let asked = cli::read(&forms, noun, below).unwrap();
    assert_eq!(asked.arguments, json!({ "name": "Tortuga", "feet": true }));

    let settings = mcp::Settings { all_tools: true, ..mcp::Settings::default() };
    let core = mcp::Core::new(gate, settings).unwrap();
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (read, write) = tokio::io::split(theirs);
    let stop = tokio_util::sync::CancellationToken::new();
    tokio::spawn(async move { mcp::serve_stream(&core, None, read, write, stop).await });
    let (read, mut write) = tokio::io::split(ours);
    let initialize = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    for line in [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" }),
    ] {
        write.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }
    let mut lines = BufReader::new(read).lines();
    let found = tokio::time::timeout(std::time::Duration::from_secs(10), async {
        while let Some(line) = lines.next_line().await.unwrap() {
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["id"] == 2 {
                return message.to_string().contains("\"tide_get\"");
            }
        }
        false
    });
    assert!(found.await.unwrap(), "no tool tide_get");
}
