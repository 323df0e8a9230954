//! The commands: one for each noun, with one below it for each verb.

use std::collections::BTreeMap;

use clap::builder::PossibleValue;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueEnum};
use serde_json::Value;

use crate::base::{Error, Result};
use crate::gate::{Effect, Form};

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Table,
    Json,
    Yaml,
}

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &[Format::Table, Format::Json, Format::Yaml]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Format::Table => PossibleValue::new("table").help("Columns, or keys and values"),
            Format::Json => PossibleValue::new("json").help("One JSON document; with --watch, one a line"),
            Format::Yaml => PossibleValue::new("yaml").help("One YAML document; with --watch, one a change"),
        })
    }
}

/// A call that the command line asks for.
pub struct Asked {
    pub form: Form,
    pub arguments: Value,
    pub format: Format,
    pub watch: bool,
    pub preview: bool,
    /// Whether to leave at once when a person must decide.
    pub no_wait: bool,
    pub reason: Option<String>,
}

// Names that no operation's field can have: fields are snake_case, without a leading capital.
const FORMAT: &str = "Cli-format";
const WATCH: &str = "Cli-watch";
const PREVIEW: &str = "Cli-preview";
const REASON: &str = "Cli-reason";
const NO_WAIT: &str = "Cli-no-wait";

/// The noun as it is typed: `config-map` of `config_map_get`.
fn typed(word: &str) -> String {
    word.replace('_', "-")
}

fn by_noun(forms: &[Form]) -> BTreeMap<String, Vec<&Form>> {
    let mut nouns: BTreeMap<String, Vec<&Form>> = BTreeMap::new();
    for form in forms {
        nouns.entry(typed(form.spec.noun_verb().0)).or_default().push(form);
    }
    nouns
}

/// A command for each noun.
pub fn nouns(forms: &[Form]) -> Vec<Command> {
    let noun = |(noun, forms): (String, Vec<&Form>)| {
        let verbs: Vec<_> = forms.iter().map(|f| typed(f.spec.noun_verb().1)).collect();
        Command::new(noun.clone())
            .about(format!("Operations on a {}: {}.", noun.replace('-', " "), verbs.join(", ")))
            .hide(true)
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommands(forms.into_iter().map(verb))
    };
    by_noun(forms).into_iter().map(noun).collect()
}

/// One line for each noun with its verbs, for the help.
pub fn overview(forms: &[Form]) -> String {
    let nouns = by_noun(forms);
    let width = nouns.keys().map(String::len).max().unwrap_or(0);
    let line = |(noun, forms): (&String, &Vec<&Form>)| {
        let verbs: Vec<_> = forms.iter().map(|f| typed(f.spec.noun_verb().1)).collect();
        format!("  {noun:<width$}  {}\n", verbs.join(", "))
    };
    nouns.iter().map(line).collect()
}

fn verb(form: &Form) -> Command {
    let spec = &form.spec;
    let effect = match spec.effect {
        Effect::Observe => "It only reads.",
        Effect::Change => "It changes something that can be changed back, and is recorded.",
        Effect::Destroy => "It is hard to undo, and is recorded.",
    };
    let command = form.augment(Command::new(typed(spec.noun_verb().1)));
    // The input struct's own doc would stand in for the summary otherwise.
    let command = command.about(spec.summary).long_about(format!("{}\n\n{effect}", spec.summary));
    let command = match spec.exits {
        [] => command,
        exits => {
            let lines = exits.iter().map(|(code, meaning)| format!("\n  {code}  {meaning}"));
            command.after_help(format!("Exit codes:{}", lines.collect::<String>()))
        }
    };
    own_arguments(form).into_iter().fold(command, |command, argument| {
        // An operation's field of the same name is what was meant: the flag is its.
        let taken = command.get_arguments().any(|a| {
            (a.get_long().is_some() && a.get_long() == argument.get_long())
                || (a.get_short().is_some() && a.get_short() == argument.get_short())
        });
        if taken { command } else { command.arg(argument) }
    })
}

fn own_arguments(form: &Form) -> Vec<Arg> {
    let flag = |id: &'static str, long: &'static str, help: &'static str| {
        Arg::new(id).long(long).help(help).action(ArgAction::SetTrue).help_heading("Output")
    };
    let mut own = vec![
        Arg::new(FORMAT)
            .long("output")
            .short('o')
            .value_name("FORMAT")
            .help("How to write the result")
            .value_parser(clap::value_parser!(Format))
            .default_value("table")
            .hide_possible_values(false)
            .help_heading("Output"),
    ];
    if form.watchable {
        own.push(flag(WATCH, "watch", "Go on with what changes, until Ctrl-C").short('w'));
    }
    if form.spec.effect != Effect::Observe {
        own.push(
            Arg::new(REASON)
                .long("reason")
                .value_name("TEXT")
                .help("Why, for the person who decides and for the audit log")
                .help_heading("Decision"),
        );
        own.push(
            flag(NO_WAIT, "no-wait", "Do not wait for the decision when a person must decide")
                .help_heading("Decision"),
        );
    }
    if form.previewable {
        own.push(flag(PREVIEW, "preview", "Show what it would do, and do nothing").help_heading("Decision"));
    }
    own
}

/// The text with the names of operations as a shell has them: `cluster_list` is typed `qd cluster list`.
pub fn in_shell_words(forms: &[Form], text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut said = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(from) = rest.find(word) {
        let length = rest[from..].find(|c| !word(c)).unwrap_or(rest.len() - from);
        let (before, after) = rest.split_at(from);
        let (name, after) = after.split_at(length);
        said.push_str(before);
        match forms.iter().find(|form| form.spec.name == name) {
            Some(form) => {
                let (noun, verb) = form.spec.noun_verb();
                // What stands in quotes already needs no more of them.
                let quote = if before.ends_with('`') { "" } else { "`" };
                said.push_str(&format!("{quote}qd {} {}{quote}", typed(noun), typed(verb)));
            }
            None => said.push_str(name),
        }
        rest = after;
    }
    said.push_str(rest);
    said
}

/// Reads what clap has parsed for `noun verb`.
pub fn read(forms: &[Form], noun: &str, matches: &ArgMatches) -> Result<Asked> {
    let Some((verb, matches)) = matches.subcommand() else {
        return Err(Error::invalid(format!("{noun} needs a verb")).next(format!("See `qd {noun} --help`.")));
    };
    let form = forms
        .iter()
        .find(|f| {
            let (n, v) = f.spec.noun_verb();
            typed(n) == noun && typed(v) == verb
        })
        .ok_or_else(|| Error::not_found(format!("there is no operation {noun} {verb}")))?;
    let flag = |id: &str| matches.try_get_one::<bool>(id).ok().flatten().copied().unwrap_or(false);
    Ok(Asked {
        form: *form,
        arguments: form.parse_matches(matches)?,
        format: matches.try_get_one::<Format>(FORMAT).ok().flatten().copied().unwrap_or_default(),
        watch: flag(WATCH),
        preview: flag(PREVIEW),
        no_wait: flag(NO_WAIT),
        reason: matches.try_get_one::<String>(REASON).ok().flatten().cloned(),
    })
}
