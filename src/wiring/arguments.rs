//! The command line: which door, and with what.
//!
//! The first words decide. A command of ours, or a noun with one of its verbs right after it, is
//! parsed by clap; any other words are what the console opens with, as if typed after `:`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::base::text::nearest;
use crate::base::{Error, Result};
use crate::cli::{self, Asked};
use crate::gate::Form;
use crate::tui::command::well_known;

/// Flags that every command takes.
#[derive(Debug, Clone, Default, Args)]
pub struct Common {
    /// Read this configuration file instead of the usual one.
    #[arg(id = "Common-config", long = "config", global = true, env = "QD_CONFIG", value_name = "FILE")]
    #[arg(help_heading = "Common")]
    pub config: Option<PathBuf>,
    /// Read this kubeconfig file, not those of KUBECONFIG.
    #[arg(id = "Common-kubeconfig", long = "kubeconfig", global = true, value_name = "FILE")]
    #[arg(help_heading = "Common")]
    pub kubeconfig: Option<PathBuf>,
    /// Set one configuration key, over file and environment: --set http.port=7421.
    #[arg(id = "Common-set", long = "set", global = true, value_name = "KEY=VALUE", help_heading = "Common")]
    pub set: Vec<String>,
    /// The session to open or to join, by name.
    #[arg(id = "Common-session", long = "session", global = true, env = "QD_SESSION", value_name = "NAME")]
    #[arg(help_heading = "Common")]
    pub session: Option<String>,
    /// Refuse every change, at whichever door, for as long as the session lives.
    #[arg(id = "Common-readonly", long = "readonly", global = true, help_heading = "Common")]
    pub readonly: bool,
    /// Allow changes though the configuration says readonly.
    #[arg(id = "Common-write", long = "write", global = true, conflicts_with = "Common-readonly")]
    #[arg(help_heading = "Common")]
    pub write: bool,
    /// Act as this user in every cluster; the API servers must allow it.
    #[arg(id = "Common-as", long = "as", global = true, value_name = "USER", help_heading = "Common")]
    pub as_user: Option<String>,
    /// Act as a member of this group too; several times for several. Needs --as.
    #[arg(id = "Common-as-group", long = "as-group", global = true, value_name = "GROUP")]
    #[arg(help_heading = "Common")]
    pub as_group: Vec<String>,
    /// Act as the user of this UID. Needs --as.
    #[arg(id = "Common-as-uid", long = "as-uid", global = true, value_name = "UID", help_heading = "Common")]
    pub as_uid: Option<String>,
    /// Log more: -v debug, -vv trace. RUST_LOG goes over it. The log is in the state directory.
    #[arg(id = "Common-verbose", long = "verbose", short = 'v', global = true, action = ArgAction::Count)]
    #[arg(help_heading = "Common")]
    pub verbose: u8,
}

/// What the console opens with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Opening {
    /// The cluster (kubeconfig context) to start in, or several as one table: a,b, eu-*, all.
    #[arg(long, short = 'c', visible_aliases = ["cluster", "contexts"], value_name = "NAME")]
    #[arg(help_heading = "Console")]
    pub context: Option<String>,
    /// The namespace to start in, or several: a,b, team-*.
    #[arg(long, short, value_name = "NAME", help_heading = "Console")]
    pub namespace: Option<String>,
    /// Start with all namespaces.
    #[arg(long, short = 'A', conflicts_with = "namespace", help_heading = "Console")]
    pub all_namespaces: bool,
    /// Start with a label selector.
    #[arg(long, short = 'l', value_name = "SELECTOR", help_heading = "Console")]
    pub labels: Option<String>,
    #[arg(skip)]
    pub words: Vec<String>,
}

impl Opening {
    /// The console command that these words and flags stand for, if any do: `pods all app=web @eu-1`.
    /// `otherwise` is the resource where flags name none.
    pub fn command(&self, otherwise: &str) -> Option<String> {
        if *self == Self::default() {
            return None;
        }
        let mut parts = self.words.clone();
        if parts.is_empty() {
            parts.push(otherwise.split_whitespace().next().unwrap_or("pods").to_owned());
        }
        if self.all_namespaces {
            parts.push("all".to_owned());
        }
        parts.extend(self.namespace.clone());
        if let Some(labels) = &self.labels {
            // A selector of several parts, or with a set, is one word in quotes.
            parts.push(if labels.contains([' ', ',']) { format!("'{labels}'") } else { labels.clone() });
        }
        parts.extend(self.context.as_ref().map(|c| format!("@{c}")));
        Some(parts.join(" "))
    }
}

/// What was asked for.
pub struct Invocation {
    pub common: Common,
    pub choice: Choice,
}

/// Which door.
pub enum Choice {
    Console(Opening),
    Lab(Opening),
    Mcp { agent: Option<String> },
    Serve { conformance_fixtures: bool },
    Config(ConfigAction),
    Completions(clap_complete::Shell),
    Operation(Box<Asked>),
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

/// A console from which you and AI agents run infrastructure together, in one live session.
#[derive(Parser)]
#[command(name = "qd", version, disable_help_subcommand = true)]
#[command(
    override_usage = "qd [WORDS]… [OPTIONS]\n       qd COMMAND [OPTIONS]\n       qd NOUN VERB [OPTIONS]"
)]
struct Tree {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    opening: Opening,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Speak MCP on stdin and stdout: for an assistant's configuration. Joins the live session.
    Mcp {
        /// The agent's name in the session and the audit log, instead of the one that it gives itself.
        #[arg(long, env = "QD_AGENT", value_name = "NAME")]
        agent: Option<String>,
    },
    /// Run the control plane without a screen: REST, WebSocket and MCP over HTTP.
    Serve {
        /// Serve what MCP's conformance suites call, to whoever calls it.
        #[arg(long, hide = true)]
        conformance_fixtures: bool,
    },
    /// Open the console on the practice fleet: it needs nothing and touches nothing.
    Lab {
        #[command(flatten)]
        opening: Opening,
        #[arg(hide = true)]
        words: Vec<String>,
    },
    /// Write, show or check the configuration.
    Config {
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Print a completion script: source <(qd completions bash).
    Completions { shell: clap_complete::Shell },
}

/// Words that open the console.
#[derive(Parser)]
#[command(name = "qd", version, disable_help_subcommand = true)]
struct Words {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    opening: Opening,
    #[arg(trailing_var_arg = false)]
    words: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  qd                                    open the console on the current cluster
  qd pods -A --context eu-1             open it with all pods of one cluster
  qd lab                                try it on a practice fleet
  qd pod list -n shop -o json           the same from a shell
  qd deployment scale api --replicas 5 -n shop --reason 'more traffic'
  qd import k9s                         what holds here of your k9s files, and what does not
  qd mcp                                what an assistant's MCP configuration starts
";

/// The whole tree of commands, for help, completions and parsing.
pub fn tree(forms: &[Form]) -> clap::Command {
    let command = Tree::command();
    let taken: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    let files = crate::base::Paths::discover().map_or_else(
        |_| String::new(),
        |paths| {
            format!(
                "\nFiles:\n  {}  the configuration (`qd config init` writes it)\n  {}  the log\n",
                paths.config_file().display(),
                paths.log_file().display()
            )
        },
    );
    command
        .subcommands(cli::nouns(forms).into_iter().filter(|c| !taken.iter().any(|t| t == c.get_name())))
        .after_help(format!(
            "Nouns and their verbs (`qd NOUN VERB --help` says more):\n{}\n{EXAMPLES}{files}",
            cli::overview(forms)
        ))
}

/// Why there is no invocation: clap's own answer (help, or a mistake), or ours.
pub enum Stop {
    Clap(Box<clap::Error>),
    Error(Error),
}

impl From<clap::Error> for Stop {
    fn from(error: clap::Error) -> Self {
        Stop::Clap(Box::new(error))
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Error(error)
    }
}

pub fn parse(mut arguments: Vec<OsString>, forms: &[Form]) -> Result<Invocation, Stop> {
    import(&mut arguments);
    of_kind(&mut arguments, forms);
    let first = first_word(&arguments);
    let words: Vec<&str> = arguments[first..].iter().map_while(|a| a.to_str()).take(2).collect();
    let known = |word: &str| {
        Tree::command().get_subcommands().any(|c| c.get_name() == word)
            || (nouns(forms).any(|n| n == word)
                && words
                    .get(1)
                    .is_some_and(|v| *v == "--help" || *v == "-h" || verbs(forms, word).any(|x| x == *v)))
    };
    match words.first() {
        Some(word) if !known(word) => {
            slip(forms, &words)?;
            let words = Words::try_parse_from(arguments)?;
            let opening = Opening { words: words.words, ..words.opening };
            Ok(Invocation { common: words.common, choice: Choice::Console(opening) })
        }
        _ => whole(arguments, forms),
    }
}

/// `qd import k9s` says what is found of k9s' files: they are read where they are, and nothing needs to be copied.
fn import(arguments: &mut [OsString]) {
    let first = first_word(arguments);
    if let [word, what, ..] = &mut arguments[first..]
        && word == "import"
        && what == "k9s"
    {
        *word = "k9s".into();
        *what = "show".into();
    }
}

/// `qd service list` is what can be done with objects of any kind: `qd resource list service`. A noun's own verbs go first.
fn of_kind(arguments: &mut Vec<OsString>, forms: &[Form]) {
    let first = first_word(arguments);
    let words: Vec<String> =
        arguments[first..].iter().take(2).map(|a| a.to_string_lossy().into_owned()).collect();
    if let [kind, verb] = words.as_slice()
        && well_known(kind).is_some()
        && !verbs(forms, kind).any(|own| own == *verb)
        && verbs(forms, "resource").any(|any| any == *verb)
    {
        arguments[first] = "resource".into();
        arguments[first + 1] = verb.into();
        arguments.insert(first + 2, kind.into());
    }
}

fn whole(arguments: Vec<OsString>, forms: &[Form]) -> Result<Invocation, Stop> {
    let matches = tree(forms).try_get_matches_from(arguments)?;
    let common = Common::from_arg_matches(&matches)?;
    if let Some((noun, below)) = matches.subcommand()
        && nouns(forms).any(|n| n == noun)
        && !Tree::command().get_subcommands().any(|c| c.get_name() == noun)
    {
        let asked = cli::read(forms, noun, below)?;
        return Ok(Invocation { common, choice: Choice::Operation(Box::new(asked)) });
    }
    let tree = Tree::from_arg_matches(&matches)?;
    let choice = match tree.command {
        None => Choice::Console(tree.opening),
        Some(Command::Mcp { agent }) => Choice::Mcp { agent },
        Some(Command::Serve { conformance_fixtures }) => Choice::Serve { conformance_fixtures },
        Some(Command::Lab { opening, words }) => Choice::Lab(Opening { words, ..opening }),
        Some(Command::Config { action }) => Choice::Config(action),
        Some(Command::Completions { shell }) => Choice::Completions(shell),
    };
    Ok(Invocation { common, choice })
}

fn nouns(forms: &[Form]) -> impl Iterator<Item = String> + '_ {
    forms.iter().map(|f| f.spec.noun_verb().0.replace('_', "-"))
}

fn verbs<'a>(forms: &'a [Form], noun: &'a str) -> impl Iterator<Item = String> + 'a {
    let of = move |f: &&Form| f.spec.noun_verb().0.replace('_', "-") == noun;
    forms.iter().filter(of).map(|f| f.spec.noun_verb().1.replace('_', "-"))
}

/// Two words that look like a noun and a verb with a slip in one of them are no console command.
fn slip(forms: &[Form], words: &[&str]) -> Result<()> {
    let [noun, verb] = words else { return Ok(()) };
    let all: Vec<String> = nouns(forms).collect();
    let close = |a: &str, b: &str| strsim::damerau_levenshtein(a, b) <= 1 + usize::from(b.len() > 6);
    let right = match all.iter().find(|n| n == noun) {
        Some(noun) => {
            let all: Vec<String> = verbs(forms, noun).collect();
            nearest(verb, all.iter().map(String::as_str))
                .filter(|near| verb.len() > 2 && close(verb, near))
                .map(|near| format!("{noun} {near}"))
        }
        None => nearest(noun, all.iter().map(String::as_str))
            .filter(|near| close(noun, near) && verbs(forms, near).any(|v| v == *verb))
            // `qd pods list` may be a slip, but `pods` is also a kind: the verb decides.
            .map(|near| format!("{near} {verb}")),
    };
    match right {
        None => Ok(()),
        Some(right) => Err(Error::invalid(format!("there is no command \"{noun} {verb}\""))
            .next(format!("Did you mean `qd {right}`?"))),
    }
}

/// Whether the command's exit code is its result: then a mistake must not look like one.
pub fn has_own_exits(arguments: &[OsString], forms: &[Form]) -> bool {
    let words: Vec<_> =
        arguments[first_word(arguments)..].iter().take(2).map(|a| a.to_string_lossy()).collect();
    let [noun, verb] = words.as_slice() else { return false };
    forms.iter().filter(|f| !f.spec.exits.is_empty()).any(|f| {
        let (n, v) = f.spec.noun_verb();
        n.replace('_', "-") == *noun && v.replace('_', "-") == *verb
    })
}

/// The index of the first argument that is no flag and no flag's value; the length if there is none.
fn first_word(arguments: &[OsString]) -> usize {
    const WITH_VALUE: &[&str] = &[
        "--config",
        "--kubeconfig",
        "--set",
        "--session",
        "--as",
        "--as-group",
        "--as-uid",
        "--context",
        "--cluster",
        "-c",
        "--namespace",
        "-n",
        "--labels",
        "-l",
    ];
    let mut i = 1;
    while let Some(argument) = arguments.get(i) {
        let text = argument.to_string_lossy();
        if !text.starts_with('-') || text == "-" {
            return i;
        }
        i += if WITH_VALUE.contains(&text.as_ref()) { 2 } else { 1 };
    }
    arguments.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations;

    fn forms() -> Vec<Form> {
        operations::all().map(crate::gate::Definition::form).collect()
    }

    fn choice(line: &str) -> Result<Choice, Stop> {
        let arguments = std::iter::once("qd").chain(line.split_whitespace()).map(OsString::from).collect();
        parse(arguments, &forms()).map(|i| i.choice)
    }

    #[test]
    fn clap_accepts_the_whole_tree() {
        tree(&forms()).debug_assert();
        Words::command().debug_assert();
    }

    #[test]
    fn words_that_are_no_command_open_the_console() {
        for (line, command) in [
            ("", None),
            ("pods -A --context C", Some("pods all @C")),
            ("-v pods", Some("pods")),
            ("-A", Some("pods all")),
            ("-c eu-1", Some("pods @eu-1")),
            ("pods -n shop -l app=web", Some("pods shop app=web")),
            ("deploy shop", Some("deploy shop")),
            ("operation", Some("operation")),
            ("operation shop", Some("operation shop")),
            ("--session x certificates.cert-manager.io", Some("certificates.cert-manager.io")),
        ] {
            let Ok(Choice::Console(opening)) = choice(line) else { panic!("{line}") };
            assert_eq!(opening.command("pods").as_deref(), command, "{line}");
        }
    }

    #[test]
    fn a_kind_with_a_verb_of_any_kinds_is_that_operation() {
        for (line, operation) in [
            ("deployment list -n shop", "resource_list"),
            ("service list -o json", "resource_list"),
            ("svc get web", "resource_get"),
            ("pod list", "pod_list"),
        ] {
            let Ok(Choice::Operation(asked)) = choice(line) else { panic!("{line}") };
            assert_eq!(asked.form.spec.name, operation, "{line}");
        }
        let Ok(Choice::Console(opening)) = choice("deploy shop") else { panic!() };
        assert_eq!(opening.words, ["deploy", "shop"]);
    }

    #[test]
    fn nouns_with_verbs_are_operations() {
        let Ok(Choice::Operation(asked)) = choice("operation list --matching x -o json") else { panic!() };
        assert_eq!(asked.form.spec.name, "operation_list");
        assert_eq!(asked.arguments["matching"], "x");
        assert!(matches!(choice("mcp --agent claude"), Ok(Choice::Mcp { agent: Some(a) }) if a == "claude"));
        assert!(matches!(choice("config check --set a=b"), Ok(Choice::Config(ConfigAction::Check))));
        assert!(matches!(choice("completions zsh"), Ok(Choice::Completions(clap_complete::Shell::Zsh))));
    }

    #[test]
    fn slips_are_told_from_console_words() {
        for (line, right) in
            [("operaton list", "qd operation list"), ("operation lisst", "qd operation list")]
        {
            let Err(Stop::Error(error)) = choice(line) else { panic!("{line}") };
            assert!(error.next_step().contains(right), "{}", error.next_step());
        }
    }

    #[test]
    fn completions_know_nouns_and_verbs_in_every_shell() {
        use clap_complete::Shell;
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut tree(&forms()), "qd", &mut script);
            let script = String::from_utf8(script).unwrap();
            for word in ["operation", "list", "completions", "matching"] {
                assert!(script.contains(word), "{shell} does not know {word}");
            }
        }
    }
}
