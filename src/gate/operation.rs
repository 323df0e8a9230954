//! The trait that an operation implements, and its erased form that the gate and the doors use.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::arguments;
use super::client::Watch;
use super::context::Context;
use super::preview::Preview;
use super::schema::Schema;
use super::spec::{Effect, OperationInfo, Spec, Talk, Target};
use crate::base::{Error, Result};

/// One verb on one noun. The input struct derives `Deserialize`, `Serialize`, `JsonSchema` and `clap::Args`: its field
/// docs become the schema text and the CLI help. An argument that its schema does not name is refused.
pub trait Operation: Send + Sync + 'static {
    /// The domains it works on.
    type Deck: Send + Sync + 'static;
    type Input: DeserializeOwned + Serialize + JsonSchema + clap::Args + Send + Sync + 'static;
    type Output: Serialize + JsonSchema + Send + 'static;

    const SPEC: Spec;
    /// Whether [`Operation::watch`] is implemented.
    const WATCH: bool = false;
    /// Whether [`Operation::preview`] is implemented. Every change and destroy operation should.
    const PREVIEW: bool = false;

    /// Fills in what the caller left to a default of the moment (the current cluster, its namespace), so that policy,
    /// approval and audit see what the call will act on, and a later change of the default cannot move it.
    fn complete(_deck: &Self::Deck, _input: &mut Self::Input) -> Result<()> {
        Ok(())
    }

    fn target(input: &Self::Input) -> Target;

    /// The same as a shell command, from the completed arguments alone: `kubectl scale deployment/api --replicas=5 …`.
    /// Every change of a cluster has one: the gate shows it with the preview, adds it to the result as `equivalent`, and
    /// writes it to the audit log.
    fn equivalent(_input: &Self::Input) -> Option<String> {
        None
    }

    /// The calls that this one is made of, for an operation that makes several as one: the policy rules on each of them,
    /// and the handler runs them by [`Context::run_part`]. All of them must be allowed, and the call
    /// itself; but a read whose [`Spec::asks_each`] is set begins where one of them is, and asks leave for each by
    /// [`Context::admit_part`].
    fn parts(_input: &Self::Input) -> Result<Vec<Part>> {
        Ok(Vec::new())
    }

    fn run(
        deck: Arc<Self::Deck>,
        cx: Context,
        input: Self::Input,
    ) -> impl Future<Output = Result<Self::Output>> + Send;

    /// What `run` would do, computed without doing it.
    fn preview(
        _deck: Arc<Self::Deck>,
        _cx: Context,
        input: Self::Input,
    ) -> impl Future<Output = Result<Preview>> + Send {
        async move { Ok(Preview::of(Self::target(&input))) }
    }

    /// The result, and then its changes, until the reader drops the watch.
    fn watch(
        _deck: Arc<Self::Deck>,
        _cx: Context,
        _input: Self::Input,
    ) -> impl Future<Output = Result<Watch>> + Send {
        async { Err(Error::unsupported(format!("{} cannot be watched", Self::SPEC.name))) }
    }
}

/// One call of a call that is several.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub operation: String,
    pub arguments: Value,
}

/// Arguments as they are shown, recorded and run, and what follows from them alone.
pub struct Normal {
    /// With defaults filled in.
    pub arguments: Value,
    pub target: Target,
    pub equivalent: Option<String>,
    pub parts: Vec<Part>,
}

/// The part of a definition that needs no domain: what a door builds its commands, routes and
/// completions from, before or without a gate of its own.
#[derive(Clone, Copy)]
pub struct Form {
    pub spec: Spec,
    pub watchable: bool,
    pub previewable: bool,
    input: fn() -> Value,
    output: fn() -> Value,
    augment: fn(clap::Command) -> clap::Command,
    from_matches: fn(&clap::ArgMatches) -> Result<Value>,
}

impl Form {
    /// Adds the operation's arguments to a command of clap's.
    pub fn augment(&self, command: clap::Command) -> clap::Command {
        (self.augment)(command)
    }

    /// The arguments as JSON, from what clap has parsed by [`Form::augment`].
    pub fn parse_matches(&self, matches: &clap::ArgMatches) -> Result<Value> {
        (self.from_matches)(matches)
    }

    /// The JSON Schema of the arguments, made anew at each call.
    pub fn input(&self) -> Value {
        (self.input)()
    }

    /// The JSON Schema of the result, made anew at each call.
    pub fn output(&self) -> Value {
        (self.output)()
    }
}

impl<D> Definition<D> {
    /// The shell command that arguments, complete as they are, are the same as.
    pub fn equivalent(&self, arguments: Value) -> Result<Option<String>> {
        (self.equivalent)(arguments)
    }

    /// What a door needs of it.
    pub const fn form(&self) -> Form {
        Form {
            spec: self.spec,
            watchable: self.watchable,
            previewable: self.previewable,
            input: self.input,
            output: self.output,
            augment: self.augment,
            from_matches: self.from_matches,
        }
    }
}

type Pending<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// An [`Operation`] as a constant of function pointers, so that a slice can list them all.
pub struct Definition<D> {
    pub spec: Spec,
    pub watchable: bool,
    pub previewable: bool,
    input: fn() -> Value,
    output: fn() -> Value,
    augment: fn(clap::Command) -> clap::Command,
    from_matches: fn(&clap::ArgMatches) -> Result<Value>,
    normalize: fn(&D, Value) -> Result<Normal>,
    equivalent: fn(Value) -> Result<Option<String>>,
    run: fn(Arc<D>, Context, Value) -> Pending<Value>,
    preview: fn(Arc<D>, Context, Value) -> Pending<Preview>,
    watch: fn(Arc<D>, Context, Value) -> Pending<Watch>,
}

/// Makes an operation's [`Definition`].
pub const fn define<O: Operation>() -> Definition<O::Deck> {
    Definition {
        spec: O::SPEC,
        watchable: O::WATCH,
        previewable: O::PREVIEW,
        input: || schema::<O::Input>(),
        output: || output::<O>(),
        augment: |command| <O::Input as clap::Args>::augment_args(command),
        from_matches: |matches| {
            let input = <O::Input as clap::FromArgMatches>::from_arg_matches(matches)
                .map_err(|e| Error::invalid(e.to_string()))?;
            encode(&input)
        },
        normalize: |deck, arguments| {
            let mut input: O::Input = decode(arguments)?;
            O::complete(deck, &mut input)?;
            Ok(Normal {
                arguments: encode(&input)?,
                target: O::target(&input),
                equivalent: O::equivalent(&input),
                parts: O::parts(&input)?,
            })
        },
        equivalent: |arguments| Ok(O::equivalent(&decode(arguments)?)),
        run: |deck, cx, arguments| {
            Box::pin(async move {
                let output = O::run(deck, cx, decode(arguments)?).await?;
                encode(&output)
            })
        },
        preview: |deck, cx, arguments| {
            Box::pin(async move { O::preview(deck, cx, decode(arguments)?).await })
        },
        watch: |deck, cx, arguments| Box::pin(async move { O::watch(deck, cx, decode(arguments)?).await }),
    }
}

/// A definition bound to the domains it works on: what the gate holds.
///
/// `run`, `preview` and `watch` need a [`Context`], so that only the gate can use them.
pub trait Callable: Send + Sync {
    fn spec(&self) -> &Spec;
    fn info(&self) -> OperationInfo;
    /// Adds the operation's arguments to a command of clap's.
    fn augment(&self, command: clap::Command) -> clap::Command;
    /// The arguments as JSON, from what clap has parsed by [`Callable::augment`].
    fn parse_matches(&self, matches: &clap::ArgMatches) -> Result<Value>;
    /// Checks arguments against the input type and gives them with defaults filled in, and what follows from them.
    fn normalize(&self, arguments: Value) -> Result<Normal>;
    fn run(&self, cx: Context, arguments: Value) -> Pending<Value>;
    fn preview(&self, cx: Context, arguments: Value) -> Pending<Preview>;
    fn watch(&self, cx: Context, arguments: Value) -> Pending<Watch>;
}

/// Binds definitions to their domains.
pub fn bind<D: Send + Sync + 'static>(
    definitions: impl IntoIterator<Item = &'static Definition<D>>,
    deck: &Arc<D>,
) -> Vec<Arc<dyn Callable>> {
    definitions
        .into_iter()
        .map(|definition| {
            Arc::new(Bound { definition, deck: deck.clone(), input: Schema::of(definition.input) })
                as Arc<dyn Callable>
        })
        .collect()
}

struct Bound<D: 'static> {
    definition: &'static Definition<D>,
    deck: Arc<D>,
    /// The schema of its arguments.
    input: Schema,
}

impl<D: Send + Sync + 'static> Callable for Bound<D> {
    fn spec(&self) -> &Spec {
        &self.definition.spec
    }

    fn info(&self) -> OperationInfo {
        let spec = &self.definition.spec;
        OperationInfo {
            name: spec.name.to_owned(),
            summary: spec.summary.to_owned(),
            effect: spec.effect,
            idempotent: spec.idempotent,
            method: spec.method,
            path: spec.path.to_owned(),
            watch: self.definition.watchable,
            preview: self.definition.previewable,
            terminal: spec.talk == Talk::Terminal,
            input: Schema::of(self.definition.input),
            output: Schema::of(self.definition.output),
        }
    }

    fn augment(&self, command: clap::Command) -> clap::Command {
        (self.definition.augment)(command)
    }

    fn parse_matches(&self, matches: &clap::ArgMatches) -> Result<Value> {
        (self.definition.from_matches)(matches)
    }

    fn normalize(&self, arguments: Value) -> Result<Normal> {
        arguments::check(self.definition.spec.name, &self.input, &arguments)?;
        (self.definition.normalize)(&self.deck, arguments)
    }

    fn run(&self, cx: Context, arguments: Value) -> Pending<Value> {
        (self.definition.run)(self.deck.clone(), cx, arguments)
    }

    fn preview(&self, cx: Context, arguments: Value) -> Pending<Preview> {
        (self.definition.preview)(self.deck.clone(), cx, arguments)
    }

    fn watch(&self, cx: Context, arguments: Value) -> Pending<Watch> {
        (self.definition.watch)(self.deck.clone(), cx, arguments)
    }
}

fn schema<T: JsonSchema>() -> Value {
    schemars::SchemaGenerator::default().into_root_schema_for::<T>().to_value()
}

/// The schema of the result. What changes a cluster says there what the same command is: see [`Operation::equivalent`].
fn output<O: Operation>() -> Value {
    let mut schema = schema::<O::Output>();
    if O::PREVIEW
        && O::SPEC.effect > Effect::Observe
        && let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut)
    {
        let text = serde_json::json!({ "type": "string", "description": "The same as a shell command." });
        properties.insert("equivalent".to_owned(), text);
    }
    schema
}

fn decode<T: DeserializeOwned>(arguments: Value) -> Result<T> {
    // A call without arguments is a call with an empty object.
    let arguments = if arguments.is_null() { Value::Object(serde_json::Map::new()) } else { arguments };
    serde_json::from_value(arguments).map_err(|e| Error::invalid(format!("arguments: {e}")))
}

fn encode<T: Serialize>(value: &T) -> Result<Value> {
    serde_json::to_value(value).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Serialize, Deserialize, JsonSchema, clap::Args)]
    struct Place {
        #[serde(default)]
        cluster: String,
    }

    #[derive(Serialize, Deserialize, JsonSchema, clap::Args)]
    #[schemars(deny_unknown_fields)]
    struct Input {
        replicas: u32,
        #[serde(flatten)]
        #[command(flatten)]
        place: Place,
    }

    struct Scale;

    impl Operation for Scale {
        type Deck = ();
        type Input = Input;
        type Output = Value;

        const SPEC: Spec = Spec::observe("thing_scale", "/v1/things/scale", "Scale.");

        fn target(_: &Input) -> Target {
            Target::own("thing")
        }

        async fn run(_: Arc<()>, _: Context, input: Input) -> Result<Value> {
            encode(&input)
        }
    }

    static SCALE: Definition<()> = define::<Scale>();

    #[test]
    fn an_argument_that_no_part_of_the_input_takes_is_refused_with_the_nearest_name() {
        let bound = bind([&SCALE], &Arc::new(()));
        let given = json!({ "replicas": 3, "cluster": "eu-1" });
        assert_eq!(bound[0].normalize(given.clone()).unwrap().arguments, given);
        let error = |arguments: Value| bound[0].normalize(arguments).err().unwrap();
        let wrong = error(json!({ "replicas": 3, "clusters": "eu-1" }));
        assert_eq!(wrong.message, "thing_scale has no argument \"clusters\"");
        assert_eq!(wrong.next_step(), "Did you mean \"cluster\"?");
        assert_eq!(error(json!({ "zzz": 3 })).next_step(), "It takes: replicas, cluster.");
        assert_eq!(error(json!({ "cluster": "eu-1" })).message, "the argument \"replicas\" is missing");
        let wrong = error(json!({ "replicas": "three" }));
        assert_eq!(wrong.message, "\"replicas\" must be a whole number of at least 0, not \"three\"");
    }
}
