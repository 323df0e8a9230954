//! Lists over several clusters and namespaces: one table, live, in which nobody waits for another.
//!
//! A call that names several is made of one call for each: [`parts`]. The policy rules on each of them, and each is read by
//! a task of its own. One that is down, slow, forbidden or without the kind is a state of the table, never a delay.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use indexmap::IndexSet;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Deck;
use super::input::Query;
use super::listing::{self, PATIENCE, Page, Wanted};
use crate::base::text::{glob, is_glob, is_set, members};
use crate::base::{Code, Error, Result};
use crate::gate::{Context, Part, Target};
use crate::kube::{Cluster, Listing, Selection, pauses};
use crate::rows::{Phase, SourceState, Table, TableDelta, TableFeed, TableSender, Union, feed};

/// More than anybody looks at, and than a machine has sockets for.
const MOST: usize = 500;
/// With more namespaces than this they are picked from a watch of all.
const EACH: usize = 16;
/// A list waits so long for a cluster that has said nothing yet while the others have told all.
const STRAGGLERS: Duration = Duration::from_secs(3);

/// The namespaces that one part reads.
enum Namespaces {
    /// That of the call's target, or all.
    Target,
    /// Those that fit one of these.
    Globs(Vec<String>),
}

/// Whether a call reads several clusters or namespaces.
pub fn is_several(query: &Query) -> bool {
    [&query.cluster, &query.namespace].into_iter().flatten().any(|text| is_set(text))
}

/// Clusters and namespaces, each with each: `None` is what the call leaves to its default.
fn pairs(query: &Query) -> Vec<(Option<String>, Option<String>, Namespaces)> {
    let clusters: Vec<Option<String>> = match &query.cluster {
        Some(set) => members(set).map(|name| Some(name.to_owned())).collect(),
        None => vec![None],
    };
    let (globs, names): (Vec<&str>, Vec<&str>) =
        query.namespace.as_deref().map(members).into_iter().flatten().partition(|name| is_glob(name));
    let fits = |name: &&str| globs.iter().any(|pattern| glob(pattern, name));
    let mut single: IndexSet<&str> = names.into_iter().filter(|name| !fits(name)).collect();
    let mut globs: Vec<String> = globs.iter().copied().map(str::to_owned).collect();
    if single.len() > EACH {
        globs.extend(single.drain(..).map(str::to_owned));
    }
    let mut all = Vec::new();
    for cluster in clusters {
        for name in &single {
            all.push((cluster.clone(), Some((*name).to_owned()), Namespaces::Target));
        }
        if !globs.is_empty() {
            all.push((cluster.clone(), None, Namespaces::Globs(globs.clone())));
        } else if single.is_empty() {
            all.push((cluster.clone(), None, Namespaces::Target));
        }
    }
    all
}

/// The calls that a list over several is made of; none if it is over one. Whoever names namespaces by globs reads all of
/// them, as far as the policy is concerned.
pub fn parts(operation: &str, input: &impl Serialize, query: &Query) -> Result<Vec<Part>> {
    if !is_several(query) {
        return Ok(Vec::new());
    }
    let pairs = pairs(query);
    if pairs.len() > MOST {
        let what = format!("{} clusters and namespaces are too many for one list", pairs.len());
        return Err(Error::invalid(what).next(format!("Name at most {MOST}.")));
    }
    let whole = serde_json::to_value(input).map_err(Error::internal)?;
    let part = |(cluster, namespace, namespaces): (Option<String>, Option<String>, Namespaces)| {
        let mut arguments = whole.clone();
        if let Some(cluster) = cluster {
            arguments["cluster"] = json!(cluster);
        }
        arguments["namespace"] = json!(namespace);
        let all = query.all_namespaces || matches!(namespaces, Namespaces::Globs(_));
        arguments["all_namespaces"] = Value::Bool(all);
        Part { operation: operation.to_owned(), arguments }
    };
    Ok(pairs.into_iter().map(part).collect())
}

/// What one part reads, as it was admitted.
pub struct Member {
    index: usize,
    pub cluster: Arc<Cluster>,
    pub query: Query,
    globs: Vec<String>,
    /// What there is now is wanted, with figures, and not what comes.
    whole: bool,
    /// As its state is told: the cluster, with the namespace where it has several parts.
    name: Arc<str>,
}

impl Member {
    /// Its rows of a selection.
    pub fn watch(&self, selection: Selection) -> TableFeed {
        match self.globs.as_slice() {
            [] if self.whole => self.cluster.watch_whole(selection),
            [] => self.cluster.watch_measured(selection),
            globs => self.cluster.watch_among(selection, globs.to_vec(), self.whole),
        }
    }

    /// Its rows of a selection, without figures but those of nodes. What has no namespace is read whole.
    pub fn watch_bare(&self, selection: Selection) -> TableFeed {
        match self.globs.as_slice() {
            globs if selection.resource.namespaced && !globs.is_empty() => {
                self.cluster.watch_among(selection, globs.to_vec(), self.whole)
            }
            _ if !selection.resource.is_nodes() => self.cluster.watch(selection),
            _ if self.whole => self.cluster.watch_whole(selection),
            _ => self.cluster.watch_measured(selection),
        }
    }

    /// The namespaces that it reads, as globs; none is all of its query's.
    pub fn globs(&self) -> &[String] {
        &self.globs
    }

    /// Its namespaces, where it reads only some of its cluster's; else empty.
    pub fn scope(&self) -> String {
        match self.globs.as_slice() {
            [] => self.query.namespace.clone().unwrap_or_default(),
            globs => globs.join(","),
        }
    }

    /// Whether it reads this namespace.
    pub fn reads(&self, namespace: &str) -> bool {
        self.globs.is_empty() || self.globs.iter().any(|pattern| glob(pattern, namespace))
    }

    /// The rows of what is read but once.
    pub fn once(&self, read: impl Future<Output = Result<Listing>> + Send + 'static) -> TableFeed {
        let (sender, feed) = feed();
        let name = self.cluster.name().clone();
        let tell = |phase, note| vec![SourceState { note, ..SourceState::new(name.clone(), phase) }];
        let sources = tell(Phase::Loading { seen: 0, expected: None }, None);
        sender.merge(TableDelta { sources, ..TableDelta::default() });
        tokio::spawn(async move {
            let listing = tokio::select! {
                listing = read => listing,
                () = sender.closed() => return,
            };
            let tell = |phase, note| vec![SourceState { note, ..SourceState::new(name, phase) }];
            sender.merge(match listing {
                Ok(Listing { columns, rows, phase, note }) => TableDelta {
                    columns: Some(columns),
                    upserts: rows,
                    sources: tell(phase, note),
                    ..TableDelta::default()
                },
                Err(error) => {
                    TableDelta { sources: tell(Phase::Failed { error }, None), ..TableDelta::default() }
                }
            });
            sender.closed().await;
        });
        feed
    }
}

/// Opens the feed of one part.
pub type Open = Arc<dyn Fn(Arc<Member>) -> BoxFuture<'static, Result<TableFeed>> + Send + Sync>;

fn of_call(deck: &Deck, cx: &Context, query: &Query, whole: bool) -> Result<Vec<Arc<Member>>> {
    let pairs = pairs(query);
    if pairs.len() != cx.parts().len() {
        return Err(Error::internal("the call is not made of the parts that it names"));
    }
    let several = |target: &Target| cx.parts().filter(|other| other.place == target.place).count() > 1;
    let member = |(index, (target, (_, _, namespaces))): (usize, (&Target, (_, _, Namespaces)))| {
        let globs = if let Namespaces::Globs(globs) = namespaces { globs } else { Vec::new() };
        let name = match (several(target), globs.as_slice()) {
            (false, _) => target.place.as_str().into(),
            (true, []) => format!("{}/{}", target.place, target.namespace).into(),
            (true, globs) => format!("{}/{}", target.place, globs.join(",")).into(),
        };
        let namespace = Some(target.namespace.clone()).filter(|n| !n.is_empty());
        let query = Query { cluster: Some(target.place.clone()), namespace, ..query.clone() };
        let cluster = deck.kube.get(Some(&target.place))?;
        Ok(Arc::new(Member { index, cluster, query, globs, whole, name }))
    };
    cx.parts().zip(pairs).enumerate().map(member).collect()
}

/// Where the parts' rows meet.
struct Hall {
    union: Mutex<Union>,
    sender: TableSender,
}

impl Hall {
    fn tell(&self, name: &Arc<str>, phase: Phase) {
        let sources = vec![SourceState::new(name.clone(), phase)];
        self.sender.merge(TableDelta { sources, ..TableDelta::default() });
    }

    fn take(&self, member: &Member, mut delta: TableDelta) {
        for source in &mut delta.sources {
            if source.cluster == *member.cluster.name() {
                source.cluster = member.name.clone();
            }
        }
        // In one step, so that columns are told before the rows that have them.
        let mut union = self.union.lock();
        self.sender.merge(union.pass(member.index, delta));
    }
}

/// Watches all that a call over several names, as one table.
pub fn watch(deck: &Deck, cx: &Context, query: &Query, open: Open) -> Result<TableFeed> {
    Ok(meet(of_call(deck, cx, query, false)?, cx, &open))
}

fn meet(members: Vec<Arc<Member>>, cx: &Context, open: &Open) -> TableFeed {
    let (sender, feed) = feed();
    let hall = Arc::new(Hall { union: Mutex::default(), sender });
    for member in members {
        hall.tell(&member.name, Phase::Connecting);
        let (hall, cx, open) = (hall.clone(), cx.clone(), open.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = follow(&hall, &cx, &member, &open) => {}
                () = hall.sender.closed() => {}
            }
        });
    }
    feed
}

/// Keeps one part current, for as long as it is polled.
async fn follow(hall: &Hall, cx: &Context, member: &Arc<Member>, open: &Open) {
    let failed = match cx.admit_part(member.index).await {
        Ok(()) => match opened(hall, member, open).await {
            Ok(mut feed) => {
                while let Some(delta) = feed.next().await {
                    hall.take(member, delta);
                }
                Error::unavailable("the watch ended")
            }
            Err(error) => error,
        },
        Err(error) => error,
    };
    hall.tell(&member.name, Phase::Failed { error: failed });
    // The others go on, and so does the feed.
    hall.sender.closed().await;
}

/// The feed of one part, once its cluster answers.
async fn opened(hall: &Hall, member: &Arc<Member>, open: &Open) -> Result<TableFeed> {
    let (mut attempt, mut since) = (0, None);
    let mut pauses = pauses();
    loop {
        let error = match open(member.clone()).await {
            Ok(feed) => return Ok(feed),
            Err(error) if matches!(error.code, Code::Unavailable | Code::Timeout) => error,
            Err(error) => return Err(error),
        };
        attempt += 1;
        let since = *since.get_or_insert_with(|| jiff::Timestamp::now().as_second());
        let next = error.next_step().to_owned();
        hall.tell(&member.name, Phase::Reconnecting { reason: error.message, next, since, attempt });
        tokio::time::sleep(pauses.next().unwrap_or(STRAGGLERS)).await;
    }
}

/// Asks each part of a call once. One that does not answer soon is told of, and not waited for.
pub async fn each<T: Send>(
    deck: &Deck,
    cx: &Context,
    query: &Query,
    ask: impl Fn(Arc<Member>) -> BoxFuture<'static, Result<T>>,
) -> Result<(Vec<(Arc<Member>, T)>, Vec<Lacking>)> {
    let asked = of_call(deck, cx, query, false)?.into_iter().map(|member| {
        let (answer, name) = (ask(member.clone()), member.name.to_string());
        async move {
            cx.admit_part(member.index).await?;
            let silent = |after: Duration| {
                let what = format!("{} said nothing within {} s", member.name, after.as_secs());
                move |_| Error::new(Code::Timeout, what)
            };
            tokio::time::timeout(STRAGGLERS, member.cluster.kinds()).await.map_err(silent(STRAGGLERS))??;
            let answer = tokio::time::timeout(PATIENCE, answer).await.map_err(silent(PATIENCE))??;
            Ok((member.clone(), answer))
        }
        .map(|told: Result<_>| told.map_err(|error| (name, error)))
    });
    let (mut told, mut lacking, mut first) = (Vec::new(), Vec::new(), None);
    for answer in futures::future::join_all(asked).await {
        match answer {
            Ok(answer) => told.push(answer),
            Err((cluster, error)) => {
                let state = if error.code == Code::Timeout { "no answer" } else { "failed" };
                lacking.push(Lacking { cluster, state, reason: error.told() });
                first.get_or_insert(error);
            }
        }
    }
    match first {
        Some(error) if told.is_empty() => Err(error),
        _ => Ok((told, lacking)),
    }
}

/// A cluster of a list that has not told all it has.
#[derive(Debug, Serialize, JsonSchema, PartialEq)]
pub struct Lacking {
    /// Its context; with a namespace if it is only that one.
    pub cluster: String,
    /// `failed`, `stale` (its rows are old), `down` (it has none), `polled`, `loading`, `no answer` or `incomplete`
    /// (without figures, or without some rows).
    pub state: &'static str,
    pub reason: String,
}

/// Everything of a call over several as it is now, how many they are, and who has not told all; `noted`: what is said
/// beside the rows counts for that. An error if nobody has
/// told anything.
async fn rows(feed: TableFeed, noted: bool) -> Result<(Listing, usize, Vec<Lacking>)> {
    let table = collected(feed).await;
    let shown: HashSet<&str> = table.slots().iter().map(|(_, row)| &*row.key.cluster).collect();
    // Of a context with a slash in its name, too: `arn:…/eu-1/shop`.
    let any =
        |name: &str| shown.contains(name) || name.rsplit_once('/').is_some_and(|(c, _)| shown.contains(c));
    let sources = table.sources().iter();
    let mut lacking: Vec<Lacking> =
        sources.filter_map(|(name, phase)| lacking(name, phase, any(name))).collect();
    let sources = table.sources().len();
    let silent = lacking.iter().filter(|l| matches!(l.state, "failed" | "down" | "no answer")).count();
    if table.is_empty() && silent == sources && sources > 0 {
        let first = table.sources().values().find_map(|phase| match phase {
            Phase::Failed { error } => Some(error.clone()),
            _ => None,
        });
        let each: Vec<String> = lacking.iter().map(|l| format!("{}: {}", l.cluster, l.reason)).collect();
        let error = first.unwrap_or_else(|| Error::unavailable(""));
        let message = format!("none of {sources} could be read: {}", each.join("; "));
        return Err(Error { message, ..error });
    }
    for (name, note) in table.notes().iter().filter(|_| noted) {
        if !lacking.iter().any(|l| *l.cluster == **name) {
            let (cluster, reason) = (name.to_string(), note.clone());
            lacking.push(Lacking { cluster, state: "incomplete", reason });
        }
    }
    let rows = table.slots().iter().map(|(_, row)| row.clone()).collect();
    Ok((Listing { columns: table.columns().clone(), rows, phase: Phase::Live, note: None }, sources, lacking))
}

/// Everything of a call over several as it is now, with the figures of what has some; how many they are; and who has not
/// told all. An error if nobody has told anything.
pub async fn told(
    deck: &Deck,
    cx: &Context,
    query: &Query,
    open: Open,
) -> Result<(Listing, usize, Vec<Lacking>)> {
    rows(meet(of_call(deck, cx, query, true)?, cx, &open), true).await
}

/// The page wanted of a call over several.
pub async fn page(deck: &Deck, cx: &Context, query: &Query, wanted: Wanted, open: Open) -> Result<Page> {
    let whole = wanted.wants_figures();
    let members = of_call(deck, cx, query, whole)?;
    let (listing, sources, lacking) = rows(meet(members, cx, &open), whole).await?;
    let wanted = Wanted { clusters: true, namespaces: true, ..wanted };
    let page = tokio::task::spawn_blocking(move || listing::paged(listing, &wanted));
    let page = page.await.map_err(Error::internal)??;
    Ok(Page { sources: Some(sources), lacking, ..page })
}

/// What a feed of one cluster tells until it has told all it has, as far as one waits for it.
pub async fn one(feed: TableFeed) -> Result<Listing> {
    let table = collected(feed).await;
    let phase = table.sources().values().next().cloned().unwrap_or(Phase::Connecting);
    if let (Phase::Failed { error }, true) = (&phase, table.is_empty()) {
        return Err(error.clone());
    }
    let rows = table.slots().iter().map(|(_, row)| row.clone()).collect();
    let note = table.notes().values().next().cloned();
    Ok(Listing { columns: table.columns().clone(), rows, phase, note })
}

async fn collected(mut feed: TableFeed) -> Table {
    let began = Instant::now();
    let mut table = Table::default();
    loop {
        let phases = || table.sources().values();
        if !table.sources().is_empty() && phases().all(is_settled) {
            return table;
        }
        let coming = phases().any(|phase| matches!(phase, Phase::Loading { .. }));
        let until = began + if coming { PATIENCE } else { STRAGGLERS };
        match tokio::time::timeout_at(until, feed.next()).await {
            Ok(Some(delta)) => {
                table.apply(delta, None);
            }
            Ok(None) | Err(_) => return table,
        }
    }
}

fn is_settled(phase: &Phase) -> bool {
    match phase {
        Phase::Live | Phase::Polling { .. } | Phase::Failed { .. } => true,
        Phase::Reconnecting { attempt, .. } => *attempt > 1,
        Phase::Connecting | Phase::Loading { .. } => false,
    }
}

fn lacking(name: &str, phase: &Phase, any: bool) -> Option<Lacking> {
    let (state, reason) = match phase {
        Phase::Live => return None,
        Phase::Polling { every_seconds, reason } => {
            ("polled", format!("listed again every {every_seconds} s: {reason}"))
        }
        Phase::Connecting => ("no answer", format!("said nothing within {} s", STRAGGLERS.as_secs())),
        Phase::Loading { seen, .. } => ("loading", format!("{seen} rows so far")),
        Phase::Reconnecting { reason, .. } => (if any { "stale" } else { "down" }, reason.clone()),
        Phase::Failed { error } => ("failed", error.told()),
    };
    Some(Lacking { cluster: name.to_owned(), state, reason })
}
