//! The audit log: reading it, checking it, giving it to other systems.

mod verify;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Deck;
use super::common::moment;
use super::input::Span;
use crate::base::ids::{ApprovalId, CallId};
use crate::base::{Error, Result};
use crate::gate::{Context, Definition, Operation, Spec, Target, Watch, define};
use crate::rows::{Cell, Column, ColumnKind, Row, RowKey, TableDelta, TableSender, Tone, feed};
use crate::store::{AuditFilter, AuditKind, AuditRow, export};

pub const LIST: &[Definition<Deck>] =
    &[define::<AuditList>(), define::<verify::AuditVerify>(), define::<AuditExport>()];

/// Rows that a watched table holds.
const SHOWN: usize = 1000;
/// Between two reads of a log that grows fast.
const BREATH: Duration = Duration::from_millis(100);

/// Which rows of the audit log to give.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct AuditListInput {
    /// Part of who did it: `claude`, `person:`.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The operation's name.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Part of what it was done to: `shop/deployment`.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Kinds of rows: intent, outcome, denied, read, …
    #[arg(long = "kind")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// All rows of one call.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    /// All rows of one approval.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    #[serde(flatten)]
    #[command(flatten)]
    pub span: Span,
    /// Give arguments, hashes and errors too.
    #[arg(long)]
    #[serde(default)]
    pub details: bool,
    /// At most so many; 50 unless told.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where the page before ended.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A page of the log, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AuditListOutput {
    /// Rows in the whole log.
    pub total: u64,
    pub rows: Vec<AuditEntry>,
    /// The cursor of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct AuditEntry {
    pub seq: u64,
    pub at: String,
    pub kind: AuditKind,
    pub actor: String,
    pub operation: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

impl AuditEntry {
    fn of(row: AuditRow, details: bool) -> Self {
        Self {
            seq: row.seq,
            at: row.at.to_string(),
            kind: row.kind,
            actor: row.actor,
            operation: row.operation,
            target: row.target,
            code: row.code,
            milliseconds: row.milliseconds,
            call: row.call,
            approval: row.approval,
            detail: details.then_some(row.detail),
            hash: details.then_some(row.hash),
        }
    }
}

impl AuditListInput {
    fn filter(&self, now: Timestamp) -> Result<AuditFilter> {
        Ok(AuditFilter {
            actor: self.actor.clone(),
            operation: self.operation.clone(),
            target: self.target.clone(),
            kinds: self.kinds.iter().map(|kind| kind_of(kind)).collect::<Result<_>>()?,
            call: self.call,
            approval: self.approval,
            since: self.span.since.as_deref().map(|text| moment(text, now)).transpose()?,
            until: self.span.until.as_deref().map(|text| moment(text, now)).transpose()?,
            cursor: self.cursor.as_deref().map(cursor).transpose()?,
            forward: false,
            limit: self.limit.unwrap_or(50).clamp(1, 5000),
        })
    }
}

fn kind_of(word: &str) -> Result<AuditKind> {
    AuditKind::ALL.iter().copied().find(|kind| kind.as_str() == word).ok_or_else(|| {
        let words: Vec<_> = AuditKind::ALL.iter().map(|kind| kind.as_str()).collect();
        Error::invalid(format!("{word:?} is no kind of audit row"))
            .next(format!("One of {}.", words.join(", ")))
    })
}

fn cursor(text: &str) -> Result<u64> {
    text.parse()
        .map_err(|_| Error::invalid(format!("{text:?} is no cursor")).next("Use `next` of the page before."))
}

struct AuditList;

impl Operation for AuditList {
    type Deck = Deck;
    type Input = AuditListInput;
    type Output = AuditListOutput;

    const SPEC: Spec =
        Spec::observe("audit_list", "/v1/audit", "Show who did what, on what, and how it ended.");
    const WATCH: bool = true;

    fn target(_: &Self::Input) -> Target {
        Target::own("audit")
    }

    async fn run(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let page = cx.gate().audit(input.filter(cx.now())?).await?;
        Ok(AuditListOutput {
            total: page.total,
            next: page.next.map(|n| n.to_string()),
            rows: page.rows.into_iter().map(|row| AuditEntry::of(row, input.details)).collect(),
        })
    }

    async fn watch(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Watch> {
        let filter = AuditFilter { limit: SHOWN as u32, cursor: None, ..input.filter(cx.now())? };
        let (sender, receiver) = feed();
        tokio::spawn(follow(cx, filter, sender));
        Ok(Watch::table(receiver))
    }
}

/// The newest rows, and then each that comes; the oldest leave the table as it fills.
async fn follow(cx: Context, filter: AuditFilter, sender: TableSender) {
    let mut head = cx.gate().audit_head();
    let mut shown: std::collections::VecDeque<RowKey> = std::collections::VecDeque::new();
    let mut last = None;
    loop {
        head.borrow_and_update();
        let query = AuditFilter { cursor: last, forward: last.is_some(), ..filter.clone() };
        if let Ok(page) = cx.gate().audit(query).await {
            let mut rows = page.rows;
            rows.sort_unstable_by_key(|row| row.seq);
            let mut delta = TableDelta::default();
            if last.is_none() {
                delta.reset = true;
                delta.columns = Some(columns());
            }
            last = Some(rows.last().map_or(last.unwrap_or(0), |row| row.seq));
            for row in &rows {
                let row = table_row(row);
                shown.push_back(row.key.clone());
                delta.upserts.push(row);
            }
            while shown.len() > SHOWN {
                delta.removed.extend(shown.pop_front());
            }
            if !sender.merge(delta) {
                return;
            }
            // A page that was full has more behind it.
            if page.next.is_some() && rows.len() >= SHOWN {
                continue;
            }
        }
        tokio::select! {
            () = sender.closed() => return,
            () = cx.cancelled().cancelled() => return,
            ended = head.changed() => if ended.is_err() { return },
        }
        tokio::time::sleep(BREATH).await;
    }
}

/// The name of a row is its sequence number.
fn columns() -> Arc<[Column]> {
    [
        Column::new("KIND", ColumnKind::Status).rank(4),
        Column::new("ACTOR", ColumnKind::Text).rank(0),
        Column::new("OPERATION", ColumnKind::Text).rank(0),
        Column::new("TARGET", ColumnKind::Text).rank(2),
        Column::new("OUTCOME", ColumnKind::Status).rank(1),
        Column::new("MS", ColumnKind::Number).rank(5),
        Column::new("SAME AS", ColumnKind::Text).rank(6).wide(),
        Column::new("DOOR", ColumnKind::Text).rank(5).wide(),
        Column::new("ROLE", ColumnKind::Text).rank(6).wide(),
        Column::new("AGE", ColumnKind::Age).rank(1),
    ]
    .into()
}

fn table_row(row: &AuditRow) -> Arc<Row> {
    let tone = match (row.kind, &row.code) {
        (AuditKind::Interrupted | AuditKind::Gap, _) => Tone::Error,
        (AuditKind::Denied, _) => Tone::Killed,
        (_, Some(_)) => Tone::Error,
        (AuditKind::Proposed | AuditKind::Amended, _) => Tone::Pending,
        (AuditKind::Withdrawn | AuditKind::Expired, _) => Tone::Dim,
        (AuditKind::Read | AuditKind::WatchStarted | AuditKind::WatchEnded, _) => Tone::Dim,
        _ => Tone::Normal,
    };
    let ended =
        matches!(row.kind, AuditKind::Outcome | AuditKind::Executed | AuditKind::Read | AuditKind::Returned);
    let outcome = match &row.code {
        Some(code) => Cell::status(code, Tone::Error),
        None if ended => Cell::status("ok", Tone::Completed),
        None => row
            .detail
            .get("state")
            .and_then(Value::as_str)
            .map_or(Cell::Unknown, |s| Cell::status(s, Tone::Normal)),
    };
    let milliseconds =
        row.milliseconds.map_or(Cell::Unknown, |ms| Cell::Number(i64::try_from(ms).unwrap_or(i64::MAX)));
    Arc::new(Row {
        // Names are ordered by the numbers in them.
        key: RowKey::new("", "", row.seq.to_string()),
        cells: [
            Cell::status(row.kind.as_str(), tone),
            Cell::text(&row.actor),
            Cell::text(&row.operation),
            Cell::text(&row.target),
            outcome,
            milliseconds,
            row.detail.get("equivalent").and_then(Value::as_str).map_or(Cell::Unknown, Cell::text),
            Cell::text(&row.door),
            Cell::text(&row.role),
            Cell::Time(row.at.as_second()),
        ]
        .into(),
        tone,
        uid: row.call.map(|c| c.to_string()).unwrap_or_default().into(),
    })
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// JSON lines, whole.
    #[default]
    Json,
    /// OCSF 1.3, class API Activity.
    Ocsf,
    /// ArcSight's Common Event Format.
    Cef,
}

/// Which rows to export, and how.
#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct AuditExportInput {
    /// What the lines are.
    #[arg(long, value_enum, default_value = "json")]
    #[serde(default)]
    pub format: ExportFormat,
    #[serde(flatten)]
    #[command(flatten)]
    pub span: Span,
    /// At most so many rows; 5,000 unless told, and at most.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where the page before ended.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Rows as lines, oldest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AuditExportOutput {
    pub rows: usize,
    /// The cursor of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// One line a row, each with its line feed.
    pub text: String,
}

struct AuditExport;

impl Operation for AuditExport {
    type Deck = Deck;
    type Input = AuditExportInput;
    type Output = AuditExportOutput;

    const SPEC: Spec =
        Spec::observe("audit_export", "/v1/audit/export", "Give the audit log as lines for another system.");

    fn target(_: &Self::Input) -> Target {
        Target::own("audit")
    }

    async fn run(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let now = cx.now();
        let filter = AuditFilter {
            since: input.span.since.as_deref().map(|text| moment(text, now)).transpose()?,
            until: input.span.until.as_deref().map(|text| moment(text, now)).transpose()?,
            cursor: input.cursor.as_deref().map(cursor).transpose()?,
            forward: true,
            limit: input.limit.unwrap_or(5000).clamp(1, 5000),
            ..AuditFilter::default()
        };
        let page = cx.gate().audit(filter).await?;
        let line = match input.format {
            ExportFormat::Json => export::json_line,
            ExportFormat::Ocsf => export::ocsf,
            ExportFormat::Cef => export::cef,
        };
        let mut text = String::new();
        for row in &page.rows {
            text.push_str(&line(row));
            text.push('\n');
        }
        Ok(AuditExportOutput { rows: page.rows.len(), next: page.next.map(|n| n.to_string()), text })
    }
}
