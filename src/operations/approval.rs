//! Held calls: what waits, what it would do, and the decision.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Deck;
use crate::base::ids::ApprovalId;
use crate::base::{Error, Result};
use crate::bus::ApprovalState;
use crate::gate::{
    Approval, Context, Decided, Definition, Effect, Method, Operation, Spec, Target, Verdict, Waited, Watch,
    define, strict_json,
};
use crate::rows::{Cell, Column, ColumnKind, Row, RowKey, TableDelta, TableSender, Tone, feed};
use crate::store::ApprovalFilter;

pub const LIST: &[Definition<Deck>] = &[
    define::<ApprovalList>(),
    define::<ApprovalGet>(),
    define::<ApprovalDecide>(),
    define::<ApprovalAmend>(),
    define::<ApprovalWait>(),
    define::<ApprovalWithdraw>(),
];

/// Cards that a list or a table holds at most.
const MOST: u32 = 500;

/// Which approvals to list.
#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct ApprovalListInput {
    /// Also those that are decided, expired or void.
    #[arg(long, short = 'a')]
    #[serde(default)]
    pub all: bool,
    /// At most so many, newest first; 50 unless told.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// What waits for a decision, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ApprovalListOutput {
    /// How many of those listed still wait.
    pub pending: usize,
    pub approvals: Vec<ApprovalEntry>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct ApprovalEntry {
    pub approval: ApprovalId,
    pub state: ApprovalState,
    /// Who asks.
    pub actor: String,
    pub operation: String,
    pub effect: Effect,
    pub target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub created_at: String,
    pub expires_at: String,
}

struct ApprovalList;

impl Operation for ApprovalList {
    type Deck = Deck;
    type Input = ApprovalListInput;
    type Output = ApprovalListOutput;

    const SPEC: Spec =
        Spec::observe("approval_list", "/v1/approvals", "List calls that wait for a decision.");
    const WATCH: bool = true;

    fn target(_: &Self::Input) -> Target {
        Target::own("approval")
    }

    async fn run(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let filter = ApprovalFilter {
            pending: !input.all,
            bare: false,
            limit: input.limit.unwrap_or(50).clamp(1, MOST),
        };
        let approvals = cx.gate().approvals(filter).await?;
        let pending = approvals.iter().filter(|a| a.state == ApprovalState::Pending).count();
        let entry = |a: Approval| ApprovalEntry {
            approval: a.approval,
            state: a.state,
            actor: a.actor.to_string(),
            target: a.target.to_string(),
            operation: a.operation,
            effect: a.effect,
            reason: a.reason,
            created_at: a.created_at.to_string(),
            expires_at: a.expires_at.to_string(),
        };
        Ok(ApprovalListOutput { pending, approvals: approvals.into_iter().map(entry).collect() })
    }

    async fn watch(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Watch> {
        let (sender, receiver) = feed();
        let filter = ApprovalFilter { pending: !input.all, bare: false, limit: MOST };
        tokio::spawn(keep_current(cx, filter, sender));
        Ok(Watch::table(receiver))
    }
}

/// Reads the approvals again whenever one changes; the feed sends what is different.
async fn keep_current(cx: Context, filter: ApprovalFilter, sender: TableSender) {
    let mut changed = cx.gate().approvals_changed();
    let mut shown: Vec<Arc<Row>> = Vec::new();
    let mut columns = Some(columns());
    loop {
        changed.borrow_and_update();
        if let Ok(approvals) = cx.gate().approvals(filter.clone()).await {
            let rows: Vec<Arc<Row>> = approvals.iter().map(row).collect();
            let gone = shown.iter().filter(|old| !rows.iter().any(|new| new.key == old.key));
            let delta = TableDelta {
                reset: columns.is_some(),
                removed: gone.map(|row| row.key.clone()).collect(),
                upserts: rows.iter().filter(|new| !shown.contains(new)).cloned().collect(),
                columns: columns.take(),
                ..TableDelta::default()
            };
            if !sender.merge(delta) {
                return;
            }
            shown = rows;
        }
        tokio::select! {
            () = sender.closed() => return,
            () = cx.cancelled().cancelled() => return,
            ended = changed.changed() => if ended.is_err() { return },
        }
    }
}

/// The name of a row is the approval's identifier.
fn columns() -> Arc<[Column]> {
    [
        Column::new("STATE", ColumnKind::Status).rank(0),
        Column::new("ACTOR", ColumnKind::Text).rank(2),
        Column::new("OPERATION", ColumnKind::Text).rank(0),
        Column::new("TARGET", ColumnKind::Text).rank(0),
        Column::new("REASON", ColumnKind::Text).rank(4),
        // A time of day, in UTC: an age would count away from it.
        Column::new("EXPIRES", ColumnKind::Text).rank(3),
        Column::new("AGE", ColumnKind::Age).rank(1),
    ]
    .into()
}

fn row(a: &Approval) -> Arc<Row> {
    let tone = match a.state {
        ApprovalState::Pending => Tone::Pending,
        ApprovalState::Approved => Tone::Highlight,
        ApprovalState::Consumed => Tone::Completed,
        ApprovalState::Denied => Tone::Error,
        ApprovalState::Expired | ApprovalState::Void | ApprovalState::Withdrawn => Tone::Dim,
    };
    let state = serde_json::to_value(a.state).unwrap_or_default();
    let expires = a.expires_at.strftime("%H:%M:%S").to_string();
    Arc::new(Row {
        key: RowKey::new("", "", a.approval.to_string()),
        cells: [
            Cell::status(state.as_str().unwrap_or_default(), tone),
            Cell::text(a.actor.to_string()),
            Cell::text(&a.operation),
            Cell::text(a.target.to_string()),
            a.reason.as_ref().map_or(Cell::Unknown, Cell::text),
            Cell::text(expires),
            Cell::Time(a.created_at.as_second()),
        ]
        .into(),
        tone,
        uid: a.approval.to_string().into(),
    })
}

/// Which approval to show.
#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct ApprovalGetInput {
    /// The approval's identifier.
    pub approval: ApprovalId,
}

struct ApprovalGet;

impl Operation for ApprovalGet {
    type Deck = Deck;
    type Input = ApprovalGetInput;
    type Output = Approval;

    const SPEC: Spec = Spec::observe(
        "approval_get",
        "/v1/approvals/{approval}",
        "Show a held call whole: arguments, preview, who asks and why.",
    );

    fn target(input: &Self::Input) -> Target {
        one(input.approval)
    }

    async fn run(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        cx.gate().approval(input.approval).await
    }
}

fn one(approval: ApprovalId) -> Target {
    Target { name: approval.to_string(), ..Target::own("approval") }
}

/// The decision, bound to the preview that was shown.
#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct ApprovalDecideInput {
    /// The approval's identifier.
    pub approval: ApprovalId,
    /// Whether the call may run.
    #[arg(long, value_enum)]
    pub decision: Verdict,
    /// The hash of the preview that was shown, from approval_get.
    #[arg(long)]
    pub preview_hash: String,
    /// Words for whoever asked.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

struct ApprovalDecide;

impl Operation for ApprovalDecide {
    type Deck = Deck;
    type Input = ApprovalDecideInput;
    type Output = Decided;

    const SPEC: Spec = Spec::change(
        "approval_decide",
        Method::Post,
        "/v1/approvals/{approval}/decision",
        "Let a held call run, or refuse it.",
    )
    .deciding();

    fn target(input: &Self::Input) -> Target {
        one(input.approval)
    }

    async fn run(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let reason = input.reason.filter(|r| !r.trim().is_empty());
        cx.gate().decide(cx.actor(), input.approval, input.decision, &input.preview_hash, reason).await
    }
}

/// Other arguments for a held call, on the same target.
#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct ApprovalAmendInput {
    /// The approval's identifier.
    pub approval: ApprovalId,
    /// The operation's arguments, whole, as a JSON object.
    #[arg(long, value_parser = arguments_from_json)]
    #[schemars(with = "std::collections::BTreeMap<String, Value>")]
    pub arguments: Value,
}

fn arguments_from_json(text: &str) -> Result<Value> {
    let value = strict_json(text.as_bytes())?;
    if value.is_object() { Ok(value) } else { Err(Error::invalid("the arguments are not a JSON object")) }
}

struct ApprovalAmend;

impl Operation for ApprovalAmend {
    type Deck = Deck;
    type Input = ApprovalAmendInput;
    type Output = Decided;

    const SPEC: Spec = Spec::change(
        "approval_amend",
        Method::Put,
        "/v1/approvals/{approval}/arguments",
        "Change what a held call would do, before deciding.",
    )
    .deciding();

    fn target(input: &Self::Input) -> Target {
        one(input.approval)
    }

    async fn run(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        cx.gate().amend(cx.actor(), input.approval, input.arguments).await
    }
}

/// Which held call to wait for, and how long.
#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct ApprovalWaitInput {
    /// The approval's identifier.
    pub approval: ApprovalId,
    /// Give up after so many seconds, at most 600; 40 unless told.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
}

struct ApprovalWait;

impl Operation for ApprovalWait {
    type Deck = Deck;
    type Input = ApprovalWaitInput;
    type Output = Waited;

    const SPEC: Spec = Spec::observe(
        "approval_wait",
        "/v1/approvals/{approval}/result",
        "Wait for the decision on a held call and give its result.",
    );

    fn target(input: &Self::Input) -> Target {
        one(input.approval)
    }

    async fn run(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let seconds = input.timeout_seconds.unwrap_or(40).min(600);
        let timeout = Duration::from_secs(u64::from(seconds));
        cx.gate().wait(cx.actor(), input.approval, timeout).await
    }
}

/// Which held call to take back.
#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct ApprovalWithdrawInput {
    /// The approval's identifier.
    pub approval: ApprovalId,
    /// Why, for the person who was to decide.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

struct ApprovalWithdraw;

impl Operation for ApprovalWithdraw {
    type Deck = Deck;
    type Input = ApprovalWithdrawInput;
    type Output = Decided;

    // It changes nothing but the caller's own wish: who may propose may take back, without asking.
    const SPEC: Spec = Spec {
        effect: Effect::Observe,
        ..Spec::change(
            "approval_withdraw",
            Method::Post,
            "/v1/approvals/{approval}/withdrawal",
            "Take back a held call of your own that nobody has decided yet.",
        )
    };

    fn target(input: &Self::Input) -> Target {
        one(input.approval)
    }

    async fn run(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let reason = input.reason.filter(|r| !r.trim().is_empty());
        let reason = reason.as_deref().unwrap_or("whoever asked took it back");
        cx.gate().withdraw(cx.actor(), input.approval, reason).await
    }
}
