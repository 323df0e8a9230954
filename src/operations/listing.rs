//! What the operations that list have in common: pages of compact rows, counts first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::input::Query;
use super::set::Lacking;
use crate::base::{Error, Result};
use crate::gate::Context;
use crate::kube::{Call, Cluster, Listing, Resource, Selection, usage};
use crate::rows::filter::{Filter, Shape, Sieve, Tester};
use crate::rows::spec::ColumnSpec;
use crate::rows::{Column, ColumnKind, Phase, Row, RowKey, SourceState, TableDelta, TableFeed, Tone};

/// About 2,500 tokens of rows.
const PAGE: usize = 80;
const LARGEST_PAGE: usize = 100_000;
/// How long a list may take that has to be read first: as long as one answer of a server may.
pub const PATIENCE: Duration = crate::kube::DEFAULT_TIMEOUT;

/// One page of a list: counts first, then the rows as arrays of texts.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Page {
    /// How many there are in all.
    pub total: usize,
    /// How many of them need a look.
    #[serde(skip_serializing_if = "is_zero")]
    pub faults: usize,
    /// How many have each status.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub by_status: BTreeMap<String, usize>,
    /// Said when the rows may be old or not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Of a list over several clusters or namespaces: how many were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<usize>,
    /// Those of them that have not told all, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacking: Vec<Lacking>,
    pub columns: Vec<String>,
    /// One text a column; "–" is unknown.
    pub rows: Vec<Vec<String>>,
    /// Give it as `cursor` to get the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// Which rows and columns to give.
#[derive(Debug, Default)]
pub struct Wanted {
    pub faults: bool,
    /// In the language of the console's filter.
    pub filter: Option<String>,
    pub limit: Option<u32>,
    pub cursor: Option<String>,
    pub columns: Option<Vec<String>>,
    /// Whether rows of several clusters are among them, so that each says its own.
    pub clusters: bool,
    /// Whether rows of several namespaces are among them, so that each says its own.
    pub namespaces: bool,
    /// The columns given if none are named; empty is all that are not wide.
    pub usual: &'static [&'static str],
    /// What pods and nodes take is what it is about.
    pub figures: bool,
    /// Given beside the usual.
    pub added: Vec<String>,
    /// Seconds since the epoch, for ages.
    pub now: i64,
}

impl Wanted {
    /// Whether what pods and nodes take is asked for: it costs a question more.
    pub(super) fn wants_figures(&self) -> bool {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '%' | '/');
        let filter = self.filter.as_deref().unwrap_or_default();
        let mut named = self.columns.iter().flatten().map(String::as_str);
        self.figures || named.any(usage::is_figure) || filter.split(|c: char| !word(c)).any(usage::is_figure)
    }

    /// As a query has it.
    pub fn of(query: &Query, cx: &Context) -> Self {
        Self {
            faults: query.faults,
            filter: query.filter.clone(),
            limit: query.limit,
            cursor: query.cursor.clone(),
            now: cx.now().as_second(),
            ..Self::default()
        }
    }
}

/// Reads a selection and makes the page wanted of it, off the runtime's workers.
pub async fn page(cluster: &Arc<Cluster>, selection: Selection, wanted: Wanted) -> Result<Page> {
    let namespace = selection.namespace.clone();
    let listing = if wanted.wants_figures() {
        cluster.rows_measured(selection, PATIENCE).await?
    } else {
        cluster.rows(selection, PATIENCE).await?
    };
    let mut page =
        tokio::task::spawn_blocking(move || paged(listing, &wanted)).await.map_err(Error::internal)??;
    if page.total == 0 && page.note.is_none() {
        page.note = no_namespace(cluster, namespace.as_deref()).await;
    }
    Ok(page)
}

/// Why nothing is in a namespace, if that is because there is no such namespace.
async fn no_namespace(cluster: &Cluster, namespace: Option<&str>) -> Option<String> {
    let namespace = namespace?;
    let found = cluster.json(Call::get(Resource::namespaces().path(None, Some(namespace)))).await;
    // Whoever may not read it is told nothing.
    found.err().filter(crate::kube::Error::is_not_found).map(|_| {
        format!("there is no namespace {namespace:?}: namespaces are listed with resource_list namespaces")
    })
}

/// A filter for these columns. Labels are the server's to select by, before there are any rows.
fn understood(text: &str, columns: &[Column]) -> Result<Filter> {
    let wrong = |what: String| {
        Error::invalid(format!("the filter {text:?}: {what}"))
            .next("Such as: cpu>500m && status!=Running, web.*crash, !done, -f wbcr, age<1h || restarts>3.")
    };
    let parsed = Filter::parse(text, columns).map_err(wrong)?;
    match parsed.labels {
        None => Ok(parsed.filter),
        Some(labels) => Err(Error::invalid(format!("the filter {text:?} selects by label"))
            .next(format!("Give {labels:?} as the argument labels, and only the rest as the filter."))),
    }
}

/// The columns asked for by their names alone: none where all of them have a path, which go beside the usual.
pub fn named(columns: Option<Vec<String>>) -> Option<Vec<String>> {
    let columns = columns?;
    if columns.iter().all(|column| column.contains(':')) {
        return None;
    }
    let name = |column: String| ColumnSpec::parse(&column).map_or(column, |spec| spec.name.to_string());
    Some(columns.into_iter().map(name).collect())
}

/// The columns that a selection adds.
pub fn names(selection: &Selection) -> Vec<String> {
    selection.extra.iter().map(|spec| spec.name.to_string()).collect()
}

/// Narrows a feed by a filter. What the filter does not fit is told as the feed's failure.
/// `clusters`, `namespaces`: whether rows of several are among them.
pub fn sifted(mut feed: TableFeed, filter: Option<String>, clusters: bool, namespaces: bool) -> TableFeed {
    let Some(text) = filter else { return feed };
    let (sender, narrowed) = crate::rows::feed();
    tokio::spawn(async move {
        let mut sieve = Sieve::new(&text, clusters, namespaces);
        loop {
            let delta = tokio::select! {
                delta = feed.next() => delta,
                () = sender.closed() => return,
            };
            let Some(delta) = delta else { return };
            let wrong = delta.columns.as_ref().and_then(|columns| understood(&text, columns).err());
            if let Some(error) = wrong {
                let phase = Phase::Failed { error };
                let sources = vec![SourceState::new("".into(), phase)];
                sender.merge(TableDelta { sources, ..TableDelta::default() });
                return;
            }
            // What is wrong with the filter was said above.
            if let Ok(delta) = sieve.pass(delta, jiff::Timestamp::now().as_second()) {
                sender.merge(delta);
            }
        }
    });
    narrowed
}

/// The page wanted of a listing.
pub fn paged(listing: Listing, wanted: &Wanted) -> Result<Page> {
    let Listing { columns, mut rows, phase, note: figures } = listing;
    if let Some(text) = &wanted.filter {
        let filter = understood(text, &columns)?;
        let shape = Shape::usual(&columns, wanted.clusters, wanted.namespaces);
        let mut tester = Tester::new(&filter, &shape, wanted.now);
        rows.retain(|row| tester.passes(row));
    }
    let mut page = Page { total: rows.len(), note: note(&phase).or(figures), ..Page::default() };
    let status = columns.iter().position(|c| c.kind == ColumnKind::Status);
    for row in &rows {
        page.faults += usize::from(is_fault(row));
        if let Some(cell) = status.and_then(|at| row.cells.get(at)) {
            *page.by_status.entry(cell.display(wanted.now).into()).or_default() += 1;
        }
    }
    let picked = pick(&columns, wanted)?;
    if wanted.faults {
        rows.retain(|row| is_fault(row));
    }
    if let Some(cursor) = &wanted.cursor {
        let wrong =
            || Error::invalid(format!("{cursor:?} is no cursor")).next("Give the `next` of the page before.");
        // A list of one cluster is in the order of the rest alone.
        let (cluster, place) = cursor.rsplit_once('|').unwrap_or(("", cursor));
        let (namespace, name) = place.split_once('/').ok_or_else(wrong)?;
        rows.retain(|row| order(wanted, &row.key) > (cluster, namespace, name));
    }
    if wanted.limit == Some(0) {
        return Err(Error::invalid("a page of 0 rows is none")
            .next("Give a limit of 1 or more; `total` counts them all in any case."));
    }
    let limit = wanted.limit.map_or(PAGE, |n| n as usize).min(LARGEST_PAGE);
    if rows.len() > limit {
        rows.select_nth_unstable_by(limit - 1, |a, b| order(wanted, &a.key).cmp(&order(wanted, &b.key)));
        rows.truncate(limit);
        page.next = rows.last().map(|row| {
            let (cluster, namespace, name) = order(wanted, &row.key);
            let bar = if wanted.clusters { "|" } else { "" };
            format!("{cluster}{bar}{namespace}/{name}")
        });
    }
    rows.sort_unstable_by(|a, b| order(wanted, &a.key).cmp(&order(wanted, &b.key)));
    page.columns = picked.iter().map(|p| p.name(&columns)).collect();
    page.rows = rows.iter().map(|row| picked.iter().map(|p| p.text(row, wanted.now)).collect()).collect();
    Ok(page)
}

/// Pages follow the keys' order, which no change of a row disturbs.
fn order<'a>(wanted: &Wanted, key: &'a RowKey) -> (&'a str, &'a str, &'a str) {
    (if wanted.clusters { &key.cluster } else { "" }, &key.namespace, &key.name)
}

fn is_fault(row: &Row) -> bool {
    matches!(row.tone, Tone::Error | Tone::Pending)
}

fn note(phase: &Phase) -> Option<String> {
    match phase {
        Phase::Live => None,
        Phase::Connecting | Phase::Loading { .. } => Some("not complete: still loading".into()),
        Phase::Polling { every_seconds, reason } => {
            Some(format!("listed again every {every_seconds} s: {reason}"))
        }
        Phase::Reconnecting { reason, .. } => Some(format!("may be old, reconnecting: {reason}")),
        Phase::Failed { error } => Some(error.message.clone()),
    }
}

enum Picked {
    Cluster,
    Namespace,
    Name,
    Cell(usize),
}

impl Picked {
    fn name(&self, columns: &[Column]) -> String {
        match self {
            Picked::Cluster => "CLUSTER".into(),
            Picked::Namespace => "NAMESPACE".into(),
            Picked::Name => "NAME".into(),
            Picked::Cell(at) => columns.get(*at).map(|c| c.name.to_string()).unwrap_or_default(),
        }
    }

    fn text(&self, row: &Row, now: i64) -> String {
        match self {
            Picked::Cluster => row.key.cluster.to_string(),
            Picked::Namespace => row.key.namespace.to_string(),
            Picked::Name => row.key.name.to_string(),
            Picked::Cell(at) => row.cells.get(*at).map(|c| c.display(now).into()).unwrap_or_default(),
        }
    }
}

fn pick(columns: &[Column], wanted: &Wanted) -> Result<Vec<Picked>> {
    // A column goes before the part of the key that has its name.
    let column = |name: &str| columns.iter().position(|c| c.name == name).map(Picked::Cell);
    let find = |name: &str| -> Option<Picked> {
        let name = name.to_uppercase();
        column(&name).or(match name.as_str() {
            "CLUSTER" => Some(Picked::Cluster),
            "NAMESPACE" => Some(Picked::Namespace),
            "NAME" => Some(Picked::Name),
            _ => None,
        })
    };
    if let Some(named) = wanted.columns.as_ref().filter(|named| !named.is_empty()) {
        return named
            .iter()
            .map(|name| {
                find(name).ok_or_else(|| {
                    let known: Vec<_> = columns.iter().map(|c| c.name.as_str()).collect();
                    Error::invalid(format!("there is no column {name:?}"))
                        .next(format!("Choose of CLUSTER, NAMESPACE, NAME, {}.", known.join(", ")))
                })
            })
            .collect();
    }
    let mut picked = Vec::new();
    for (name, part, shown) in [
        ("CLUSTER", Picked::Cluster, wanted.clusters),
        ("NAMESPACE", Picked::Namespace, wanted.namespaces),
        ("NAME", Picked::Name, true),
    ] {
        if shown && column(name).is_none() {
            picked.push(part);
        }
    }
    if wanted.usual.is_empty() {
        let shown = |c: &Column| c.is_usual() || wanted.added.iter().any(|name| *name == c.name);
        picked.extend(columns.iter().enumerate().filter(|(_, c)| shown(c)).map(|(at, _)| Picked::Cell(at)));
    } else {
        picked.extend(wanted.usual.iter().filter_map(|name| find(name)));
        let added = wanted.added.iter().filter(|name| !wanted.usual.contains(&name.as_str()));
        picked.extend(added.filter_map(|name| find(name)));
    }
    Ok(picked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Cell;

    fn listing(count: usize) -> Listing {
        let row = |i: usize| {
            let (word, tone) = if i % 10 == 3 { ("Failed", Tone::Error) } else { ("Running", Tone::Normal) };
            Arc::new(Row {
                key: RowKey::new("c", format!("ns-{}", i % 3), format!("pod-{i:04}")),
                cells: [Cell::status(word, tone), Cell::Time(0)].into(),
                tone,
                uid: "".into(),
            })
        };
        Listing {
            columns: [Column::new("STATUS", ColumnKind::Status), Column::new("AGE", ColumnKind::Age)].into(),
            rows: (0..count).rev().map(row).collect(),
            phase: Phase::Live,
            note: None,
        }
    }

    #[test]
    fn pages_give_every_row_once_and_counts_are_of_all() {
        let mut seen = Vec::new();
        let mut cursor = None;
        for _ in 0..100 {
            let wanted = Wanted { cursor, limit: Some(37), namespaces: true, now: 60, ..Wanted::default() };
            let page = paged(listing(250), &wanted).unwrap();
            assert_eq!((page.total, page.faults, page.by_status["Running"]), (250, 25, 225));
            assert_eq!(page.columns, ["NAMESPACE", "NAME", "STATUS", "AGE"]);
            seen.extend(page.rows.into_iter().map(|r| format!("{}/{}", r[0], r[1])));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 250);
        assert!(seen.is_sorted());
    }

    #[test]
    fn a_filter_narrows_what_is_counted_and_says_what_it_does_not_understand() {
        let wanted = |filter: &str| Wanted { filter: Some(filter.into()), now: 60, ..Wanted::default() };
        let page = paged(listing(50), &wanted("status=failed && age<2m")).unwrap();
        assert_eq!((page.total, page.rows.len()), (5, 5));
        let error = paged(listing(1), &wanted("statsu!=failed")).unwrap_err();
        assert!(error.message.contains("did you mean STATUS?"), "{}", error.message);
        let error = paged(listing(1), &wanted("app=web && status=failed")).unwrap_err();
        assert!(error.next_step().contains("argument labels"), "{}", error.next_step());
    }

    #[test]
    fn figures_are_asked_for_only_where_they_are_wanted() {
        let wants = |columns: &[&str], filter: &str| {
            let columns = columns.iter().map(|c| (*c).to_owned()).collect();
            Wanted { columns: Some(columns), filter: Some(filter.to_owned()), ..Wanted::default() }
                .wants_figures()
        };
        assert!(
            wants(&["name", "%cpu/l"], "") && wants(&[], "cpu>500m && !done") && wants(&[], "a || MEM>=1Gi")
        );
        assert!(!wants(&["name", "CPU/R"], "status=running") && !wants(&[], "memcached"));
    }

    #[test]
    fn only_faults_and_only_the_columns_named() {
        let wanted =
            Wanted { faults: true, columns: Some(vec!["name".into(), "status".into()]), ..Wanted::default() };
        let page = paged(listing(50), &wanted).unwrap();
        assert_eq!(page.rows.len(), 5);
        assert!(page.rows.iter().all(|r| r[1] == "Failed"));
        let wrong = Wanted { columns: Some(vec!["x".into()]), ..Wanted::default() };
        assert!(paged(listing(1), &wrong).unwrap_err().next_step().contains("STATUS"));
        let none = Wanted { limit: Some(0), ..Wanted::default() };
        assert!(paged(listing(1), &none).unwrap_err().message.contains("0 rows"));
    }

    #[test]
    fn a_page_of_a_thousand_pods_is_short() {
        let page = paged(listing(1000), &Wanted { namespaces: true, now: 60, ..Wanted::default() }).unwrap();
        let text = serde_json::to_string(&page).unwrap();
        // Four characters are about a token; hashes of real names cost more, hence the margin.
        assert!(text.len() < 6_000, "{}", text.len());
    }
}
