//! Operations on a k9s user's files: what they say, and running the plugins in them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::input::Within;
use super::{Deck, common};
use crate::base::{ActorKind, Code, Door, Error, Result};
use crate::gate::{
    Context, Definition, Diff, Method, Operation, Preview, Spec, Target, TargetVersion, define,
};
use crate::k9s::run::Pipeline;
use crate::k9s::variables::{self, Variables};
use crate::k9s::{Folders, HotKey, InputType, Jump, Plugin, Problem, Settings, Setup, View};

pub const LIST: &[Definition<Deck>] = &[define::<K9sShow>(), define::<PluginRun>()];

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct K9sShowInput {
    /// Kubeconfig context, whose own files go over the rest; default: the current one.
    #[arg(long, short = 'c', visible_alias = "context")]
    #[schemars(extend("x-complete" = "cluster"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Look here instead of where k9s does; for people only.
    #[arg(long)]
    #[schemars(extend("x-local-path" = true))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Variables by which k9s finds its files, as NAME=VALUE: `K9S_CONFIG_DIR`, `XDG_CONFIG_HOME`, `XDG_DATA_HOME`,
    /// `XDG_DATA_DIRS` and `HOME`. Default: those of the session, in a shell the shell's own; for people only.
    #[arg(long, hide = true, default_values_t = own_variables())]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
}

/// What a command in a shell looks by: the session that answers may have been started in another one.
fn own_variables() -> Vec<String> {
    let own = |name: &&str| Some(format!("{name}={}", std::env::var(name).ok()?));
    Folders::VARIABLES.iter().filter_map(own).collect()
}

/// What was found, and what of it cannot be used.
#[derive(Debug, Serialize, JsonSchema)]
pub struct K9sShowOutput {
    /// `2 aliases, 5 plugins, …`
    pub found: String,
    pub files: Vec<String>,
    /// With file and line.
    pub problems: Vec<Problem>,
    pub settings: Settings,
    pub aliases: BTreeMap<String, String>,
    pub hot_keys: Vec<HotKey>,
    pub plugins: Vec<Plugin>,
    pub views: Vec<View>,
    pub jumps: Vec<Jump>,
}

impl K9sShowInput {
    fn folders(&self, own: &Folders) -> Result<Folders> {
        if let Some(folder) = &self.folder {
            return Ok(Folders::under(Path::new(folder)));
        }
        if self.environment.is_empty() {
            return Ok(own.clone());
        }
        let given: BTreeMap<&str, &str> =
            common::pairs(&self.environment, "environment")?.into_iter().collect();
        if let Some(wrong) = given.keys().find(|name| !Folders::VARIABLES.contains(name)) {
            return Err(Error::invalid(format!("k9s does not find its files by {wrong}"))
                .next(format!("It looks by {}.", Folders::VARIABLES.join(", "))));
        }
        Ok(Folders::discover(|name| given.get(name).map(|value| (*value).to_owned())))
    }
}

struct K9sShow;

/// What the files say for a context. Reading them blocks: it is done on a thread.
async fn setup(deck: &Arc<Deck>, folders: Folders, cluster: Option<&str>) -> Result<Setup> {
    // Without a kubeconfig there is still what holds for every context.
    let names = deck.kube.get(cluster).ok().map(|found| (found.cluster_name(), found.name().to_string()));
    let read = move || Setup::read(&folders, names.as_ref().map(|(a, b)| (a.as_str(), b.as_str())));
    tokio::task::spawn_blocking(read).await.map_err(Error::internal)
}

impl Operation for K9sShow {
    type Deck = Deck;
    type Input = K9sShowInput;
    type Output = K9sShowOutput;

    const SPEC: Spec = Spec::observe(
        "k9s_show",
        "/v1/k9s",
        "Show what a k9s user's files say (aliases, hotkeys, plugins, views, jumps), and what cannot be used.",
    );

    fn target(_: &Self::Input) -> Target {
        Target::own("k9s")
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let folders = input.folders(&deck.k9s)?;
        if folders != deck.k9s && cx.actor().kind != ActorKind::Person {
            return Err(Error::new(Code::PermissionDenied, "only a person may have another folder read"));
        }
        if let Some(folder) = input.folder.as_deref().filter(|folder| !Path::new(folder).is_dir()) {
            return Err(Error::not_found(format!("there is no folder {folder}")));
        }
        let place = folders.config.display().to_string();
        let setup = setup(&deck, folders, input.cluster.as_deref()).await?;
        let counts = [
            (setup.aliases.len(), "aliases"),
            (setup.hot_keys.len(), "hotkeys"),
            (setup.plugins.len(), "plugins"),
            (setup.views.len(), "views"),
            (setup.jumps.len(), "jumps"),
        ];
        let counts: Vec<String> = counts.iter().map(|(n, what)| format!("{n} {what}")).collect();
        let found = if setup.files.is_empty() {
            format!("no files of k9s in {place}")
        } else {
            format!("{}, read in place from {place}; {} remarks", counts.join(", "), setup.problems.len())
        };
        Ok(K9sShowOutput {
            found,
            files: setup.files.iter().map(|f| f.display().to_string()).collect(),
            problems: setup.problems,
            settings: setup.settings,
            aliases: setup.aliases,
            hot_keys: setup.hot_keys,
            plugins: setup.plugins,
            views: setup.views,
            jumps: setup.jumps,
        })
    }
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct PluginRunInput {
    /// The plugin's name, as k9s_show gives it.
    pub plugin: String,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
    /// The kind of the object that it is run on.
    #[arg(long)]
    #[schemars(extend("x-complete" = "kind"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The object's name.
    #[arg(long)]
    #[schemars(extend("x-complete" = "name"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A container of the pod.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The filter of the table that it is run from.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Columns of the row that it is run on, each `NAME=VALUE`: what `$COL-NAME` is.
    #[arg(long = "column")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// What the plugin asks for, each `name=value`.
    #[arg(long = "input")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    /// Give it the terminal; for a person at the screen only.
    #[arg(long)]
    #[serde(default)]
    pub terminal: bool,
}

/// What the command came to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PluginRunOutput {
    /// As one would type it.
    pub command: String,
    /// Of the last command; 128 and the signal's number if one ended it.
    pub exit_code: i32,
    /// Both streams; empty if it had the terminal.
    pub output: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    pub took_ms: u64,
}

struct PluginRun;

/// A plugin with its words filled in.
struct Ready {
    plugin: Plugin,
    pipeline: Pipeline,
}

impl Ready {
    /// An approval is for exactly these words.
    fn version(&self) -> TargetVersion {
        let words = serde_json::to_vec(&self.pipeline.stages).unwrap_or_default();
        TargetVersion { identity: self.plugin.file.clone(), revision: hex::encode(Sha256::digest(words)) }
    }
}

impl PluginRunInput {
    async fn ready(&self, deck: &Arc<Deck>) -> Result<Ready> {
        let setup = setup(deck, deck.k9s.clone(), self.within.cluster.as_deref()).await?;
        let plugin = setup.plugin(&self.plugin).cloned().ok_or_else(|| {
            let near = crate::base::text::nearest(&self.plugin, setup.plugins.iter().map(|p| p.id.as_str()));
            let near = near.map(|n| format!("Did you mean {n}? ")).unwrap_or_default();
            Error::not_found(format!("there is no plugin {:?}", self.plugin))
                .next(format!("{near}k9s_show lists the plugins, and why a file gave none."))
        })?;
        let variables = self.variables(deck, &plugin).await?;
        let script = variables::is_shell(&plugin.command);
        let mut first = vec![variables.fill(&plugin.command, script)?];
        for argument in &plugin.args {
            first.push(variables.fill(argument, script)?);
        }
        let mut stages = vec![first];
        for pipe in &plugin.pipes {
            let words = variables::words(pipe)?;
            let script = words.first().is_some_and(|program| variables::is_shell(program));
            let words = words.iter().map(|word| variables.fill(word, script)).collect::<Result<Vec<_>>>()?;
            if !words.is_empty() {
                stages.push(words);
            }
        }
        let environment = vec![("KUBECONFIG".to_owned(), deck.kube.kubeconfig())];
        let environment = environment.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        Ok(Ready { plugin, pipeline: Pipeline { stages, environment } })
    }

    /// What `$NAME` and its like stand for.
    async fn variables(&self, deck: &Arc<Deck>, plugin: &Plugin) -> Result<Variables> {
        let mut v = Variables::default();
        let cluster = deck.kube.get(self.within.cluster.as_deref())?;
        for (name, value) in [
            ("KUBECONFIG", deck.kube.kubeconfig()),
            ("CONTEXT", cluster.name().to_string()),
            ("CLUSTER", cluster.cluster_name()),
            ("USER", cluster.user_name()),
            ("GROUPS", String::new()),
            ("FILTER", self.filter.clone().unwrap_or_default()),
        ] {
            v.own(name, value);
        }
        let mut namespaced = true;
        if let Some(kind) = self.kind.as_deref().filter(|kind| !kind.is_empty()) {
            let resource = cluster.resolve(kind).await?;
            namespaced = resource.namespaced;
            v.foreign("RESOURCE_GROUP", &*resource.group);
            v.foreign("RESOURCE_VERSION", &*resource.version);
            v.foreign("RESOURCE_NAME", &*resource.plural);
        }
        let namespace = self.within.namespace.as_deref().filter(|n| namespaced && !n.is_empty());
        // k9s writes a dash for what has no namespace.
        v.foreign("NAMESPACE", namespace.unwrap_or("-"));
        let name = self.name.clone().unwrap_or_default();
        match &self.container {
            // On a container the object's name is the container's, and the pod has a name of its own.
            Some(container) => {
                v.foreign("POD", name);
                v.foreign("NAME", container.clone());
                v.foreign("CONTAINER", container.clone());
            }
            None => {
                v.foreign("POD", name.clone());
                v.foreign("NAME", name);
            }
        }
        for (name, value) in common::pairs(&self.columns, "columns")? {
            v.foreign(&format!("COL-{name}"), value);
        }
        for (name, value) in self.asked(plugin)? {
            v.own(&format!("INPUT_{name}"), value);
        }
        Ok(v)
    }

    /// What the plugin asks for, checked.
    fn asked(&self, plugin: &Plugin) -> Result<Vec<(String, String)>> {
        let given: BTreeMap<&str, &str> = common::pairs(&self.inputs, "inputs")?.into_iter().collect();
        if let Some(wrong) = given.keys().find(|name| !plugin.inputs.iter().any(|i| i.name == **name)) {
            let names: Vec<&str> = plugin.inputs.iter().map(|i| i.name.as_str()).collect();
            return Err(Error::invalid(format!("the plugin {} asks for no {wrong:?}", plugin.id))
                .next(format!("It asks for: {}.", names.join(", "))));
        }
        let each = plugin.inputs.iter().map(|input| {
            let value = given.get(input.name.as_str()).map(|v| (*v).to_owned()).or(input.initial.clone());
            let value = value.unwrap_or_default();
            let wrong = |what: String| Error::invalid(format!("{}: {what}", input.label));
            match input.kind {
                _ if value.is_empty() && input.required => return Err(wrong("this is needed".to_owned())),
                _ if value.is_empty() => {}
                InputType::Number if value.parse::<f64>().is_err() => {
                    return Err(wrong(format!("{value:?} is no number")));
                }
                InputType::Bool if value.parse::<bool>().is_err() => {
                    return Err(wrong(format!("{value:?} is neither true nor false")));
                }
                InputType::Dropdown if !input.options.is_empty() && !input.options.contains(&value) => {
                    return Err(wrong(format!("{value:?} is none of {}", input.options.join(", "))));
                }
                _ => {}
            }
            Ok((input.name.clone(), value))
        });
        each.collect()
    }
}

impl Operation for PluginRun {
    type Deck = Deck;
    type Input = PluginRunInput;
    type Output = PluginRunOutput;

    // Nobody knows what a command does: it counts as what is hard to undo.
    const SPEC: Spec = Spec::destroy(
        "plugin_run",
        Method::Post,
        "/v1/plugins/{plugin}/run",
        "Run a plugin of a k9s user's files: a command on this machine, with an object's words filled in.",
    );
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        common::fill_cluster(deck, &mut input.within.cluster).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        let namespace = input.within.namespace.clone().unwrap_or_default();
        let place = input.within.cluster.clone().unwrap_or_default();
        Target { place, namespace, name: input.plugin.clone(), ..Target::own("plugin") }
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        if input.terminal && (cx.actor().kind != ActorKind::Person || cx.actor().door != Door::Screen) {
            return Err(Error::new(
                Code::PermissionDenied,
                "only a person at the screen has a terminal to give",
            )
            .next("Leave `terminal` out: the output comes with the result."));
        }
        let ready = input.ready(&deck).await?;
        if let Some(seen) = cx.expected()
            && *seen != ready.version()
        {
            return Err(Error::new(
                Code::Conflict,
                "the plugin's command is another than the one that was shown",
            )
            .next("Look at it again, and run what it is now."));
        }
        let began = Instant::now();
        let ran = if input.terminal {
            ready.pipeline.on_terminal().await?
        } else {
            tokio::select! {
                ran = ready.pipeline.caught() => ran?,
                () = cx.cancelled().cancelled() => {
                    return Err(Error::new(Code::Cancelled, format!("the plugin {} was stopped", input.plugin)));
                }
            }
        };
        Ok(PluginRunOutput {
            command: ready.pipeline.line(),
            exit_code: ran.exit_code,
            output: ran.output,
            truncated: ran.truncated,
            took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let ready = input.ready(&deck).await?;
        let line = ready.pipeline.line();
        let mut preview = Preview::of(Self::target(&input));
        preview.version = Some(ready.version());
        preview.diff = Diff::between("", &format!("{line}\n"));
        preview.checks.push(format!("from {}", ready.plugin.file));
        if variables::is_shell(&ready.plugin.command) {
            preview.warnings.push("a shell reads its arguments".to_owned());
        }
        if ready.plugin.dangerous {
            preview.warnings.push("its author calls it dangerous".to_owned());
        }
        preview.warnings.push("what a command does on this machine cannot be known before".to_owned());
        preview.equivalent = Some(line);
        Ok(preview)
    }
}
