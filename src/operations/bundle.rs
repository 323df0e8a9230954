//! All that is known of one object as a report in Markdown, without secrets: for a ticket, a colleague, a model.

use std::fmt::Write as _;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Deck;
use super::input::Object;
use super::log::last_lines;
use crate::base::{Code, Error, Result};
use crate::gate::{Context, Definition, Operation, Part, Spec, Target, define};
use crate::kube::objects::look::{self, Show};
use crate::kube::objects::{Place, adjacent, explain, timeline};

pub const LIST: &[Definition<Deck>] = &[define::<ResourceBundle>()];

/// Bytes of one part; more are left out, and the report says so.
const PART: usize = 96 * 1024;
/// Entries of what changed.
const ENTRIES: usize = 200;

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ResourceBundleInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub object: Object,
    /// How many of the last log lines; default 200, 0 for none.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 5000))]
    pub log_lines: Option<u32>,
}

/// The report.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ResourceBundleOutput {
    /// Its parts, by their headings.
    pub parts: Vec<&'static str>,
    /// What is not in it, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Markdown.
    pub text: String,
}

/// What the report is made of: the heading, and the read that gives it.
const PARTS: [(&str, &str); 6] = [
    ("Why it is not well", "resource_explain"),
    ("Description", "resource_describe"),
    ("What is around it", "resource_adjacent"),
    ("What changed", "resource_timeline"),
    ("Last log lines", "log_read"),
    ("Manifest", "resource_get"),
];

struct ResourceBundle;

impl Operation for ResourceBundle {
    type Deck = Deck;
    type Input = ResourceBundleInput;
    type Output = ResourceBundleOutput;

    const SPEC: Spec = Spec::observe(
        "resource_bundle",
        "/v1/resources/{kind}/{name}/bundle",
        "Write a report of one object in Markdown, without secrets: causes, events, changes, log lines, manifest.",
    )
    .asking_each();

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.object.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.object.target()
    }

    /// Whoever may not read a part gets the report without it.
    fn parts(input: &Self::Input) -> Result<Vec<Part>> {
        let part = |operation: &str| {
            let Object { kind, name, within } = &input.object;
            let mut arguments = json!({ "cluster": within.cluster, "namespace": within.namespace });
            match operation {
                "log_read" => arguments["name"] = json!(format!("{kind}/{name}")),
                _ => (arguments["kind"], arguments["name"]) = (json!(kind), json!(name)),
            }
            if operation == "resource_timeline" {
                // What the audit log tells is another right.
                arguments["without_calls"] = json!(true);
            }
            Part { operation: operation.to_owned(), arguments }
        };
        Ok(PARTS.iter().map(|(_, operation)| part(operation)).collect())
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let place = input.object.place(&deck).await?;
        let mut report = Report::of(&place, cx.now());
        for (index, (heading, operation)) in PARTS.iter().enumerate() {
            cx.check()?;
            cx.progress(index as u64, Some(PARTS.len() as u64), *heading);
            let read = match cx.admit_part(index).await {
                Ok(()) => part(operation, &deck, &cx, &place, &input, &mut report).await,
                Err(error) => Err(error),
            };
            match read {
                Ok(Some(text)) => report.add(heading, &text),
                Ok(None) => {}
                // Of what is not there, there is no report.
                Err(error) if error.code == Code::NotFound && *operation == "resource_describe" => {
                    return Err(error);
                }
                // What a kind does not have is not missing.
                Err(error) if error.code == Code::Unsupported => {}
                Err(error) => report.left_out.push(format!("{heading}: {}", error.message)),
            }
        }
        Ok(report.done())
    }
}

/// One part as Markdown; `None` where there is nothing to tell.
async fn part(
    operation: &str,
    deck: &Arc<Deck>,
    cx: &Context,
    place: &Place,
    input: &ResourceBundleInput,
    report: &mut Report,
) -> Result<Option<String>> {
    Ok(match operation {
        "resource_explain" => {
            let found = explain::explain(place, cx.now()).await?;
            let unknown = found.unknown.iter().map(|what| format!("Why it is not well: {what}"));
            report.left_out.extend(unknown);
            Some(findings(&found))
        }
        "resource_describe" => Some(fenced("text", &look::describe(place, cx.now()).await?.1, report)),
        "resource_adjacent" => {
            let found = adjacent::find(place, false).await?;
            let unread = found.not_read.iter().map(|what| format!("What is around it: {what}"));
            report.left_out.extend(unread);
            let rows = found.neighbours.iter().map(|n| {
                let name = if n.namespace.is_empty() {
                    n.name.clone()
                } else {
                    format!("{}/{}", n.namespace, n.name)
                };
                vec![n.relation.as_str().to_owned(), n.kind.clone(), name, n.how.clone(), n.state.to_owned()]
            });
            table(&["relation", "kind", "object", "how", "state"], rows.collect())
        }
        "resource_timeline" => {
            let mut line = timeline::read(place).await?;
            line.sort();
            report.left_out.append(&mut line.not_read);
            let older = line.entries.len().saturating_sub(ENTRIES);
            if older > 0 {
                report.left_out.push(format!("What changed: {older} older entries"));
            }
            let rows = line.entries.drain(older..);
            let rows = rows.map(|e| vec![e.at.to_string(), e.what.as_str().to_owned(), e.who, e.summary]);
            table(&["time", "what", "who", "summary"], rows.collect())
        }
        "log_read" => match input.log_lines.unwrap_or(200) {
            lines if lines > 0 && has_logs(place) => {
                let text = last_lines(deck, cx, &input.object, lines, PART).await?;
                report.left_out.extend(text.left_out);
                (text.lines > 0).then(|| fenced("text", &text.text, report))
            }
            _ => None,
        },
        _ => {
            let object = place.get().await?;
            let text = tokio::task::spawn_blocking(move || look::show(object, &Show::default()))
                .await
                .map_err(Error::internal)??;
            Some(fenced("yaml", &text, report))
        }
    })
}

fn has_logs(place: &Place) -> bool {
    matches!(
        (&*place.resource.group, &*place.resource.plural),
        ("", "pods")
            | ("apps", "deployments" | "statefulsets" | "daemonsets" | "replicasets")
            | ("batch", "jobs")
    )
}

fn findings(found: &explain::Report) -> String {
    let mut out = format!("{}\n", found.summary());
    for finding in &found.findings {
        let _ = write!(out, "\n- **{}**", inline(&finding.what));
        for evidence in &finding.evidence {
            let _ = write!(out, "\n  - {}", inline(evidence));
        }
        let _ = write!(out, "\n  - *Next:* {}", inline(&finding.next));
    }
    out
}

/// Text of the cluster's on one line, that Markdown takes for text.
fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '|' | '`' | '*' | '_' | '<' | '[' | '\\' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

fn table(columns: &[&str], rows: Vec<Vec<String>>) -> Option<String> {
    if rows.is_empty() {
        return None;
    }
    let mut out = format!("| {} |\n|{}", columns.join(" | "), "---|".repeat(columns.len()));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| inline(cell)).collect();
        let _ = write!(out, "\n| {} |", cells.join(" | "));
    }
    Some(out)
}

/// Text as it is: the fence is longer than any in it.
fn fenced(language: &str, text: &str, report: &mut Report) -> String {
    let (mut longest, mut run) = (2, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    let mut end = text.len().min(PART);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if end < text.len() {
        report.left_out.push(format!("{} bytes at the end of a part of {}", text.len() - end, text.len()));
    }
    format!("{fence}{language}\n{}\n{fence}", text[..end].trim_end())
}

struct Report {
    text: String,
    parts: Vec<&'static str>,
    left_out: Vec<String>,
}

impl Report {
    fn of(place: &Place, now: jiff::Timestamp) -> Self {
        let text = format!(
            "# {}\n\nAs of {now}, by Quarterdeck {}. Values of Secrets and what looks like credentials are left out.\n",
            inline(&place.words()),
            env!("CARGO_PKG_VERSION"),
        );
        Self { text, parts: Vec::new(), left_out: Vec::new() }
    }

    fn add(&mut self, heading: &'static str, text: &str) {
        let _ = write!(self.text, "\n## {heading}\n\n{text}\n");
        self.parts.push(heading);
    }

    fn done(mut self) -> ResourceBundleOutput {
        if !self.left_out.is_empty() {
            let lines: Vec<String> = self.left_out.iter().map(|what| format!("- {}", inline(what))).collect();
            let _ = write!(self.text, "\n## Left out\n\n{}\n", lines.join("\n"));
        }
        ResourceBundleOutput { parts: self.parts, left_out: self.left_out, text: self.text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cluster_says_cannot_end_its_place_in_the_report() {
        let mut report = Report { text: String::new(), parts: Vec::new(), left_out: Vec::new() };
        let text = fenced("text", "a\n```\n# b", &mut report);
        assert!(text.starts_with("````text\n") && text.ends_with("\n````"), "{text}");
        assert_eq!(inline("a|b\n`c` <d>"), "a\\|b \\`c\\` \\<d>");
        let rows = vec![vec!["x|y".to_owned(), "z".to_owned()]];
        assert_eq!(table(&["a", "b"], rows).unwrap(), "| a | b |\n|---|---|\n| x\\|y | z |");
        assert_eq!(table(&["a"], Vec::new()), None);
        let long = "é".repeat(PART);
        assert!(fenced("text", &long, &mut report).len() < PART + 20);
        assert_eq!(report.left_out.len(), 1);
    }
}
