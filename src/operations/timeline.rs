//! What changed of an object, who did it and when: what the cluster knows, and what went through this gate.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Deck;
use super::input::Object;
use crate::base::Result;
use crate::base::ids::CallId;
use crate::gate::{Context, Definition, Operation, Part, Spec, Target, define};
use crate::kube::objects::timeline::{self, Entry, What};
use crate::store::{AuditFilter, AuditKind, AuditRow};

pub const LIST: &[Definition<Deck>] = &[define::<ResourceTimeline>()];

/// More calls on one object are not read: `audit_list` has them all.
const CALLS: u32 = 500;

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ResourceTimelineInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub object: Object,
    /// How many of the newest; default 100.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2000))]
    pub limit: Option<u32>,
    /// Leave the calls made through Quarterdeck out: for who may not read its audit log.
    #[arg(long)]
    #[serde(default)]
    pub without_calls: bool,
    /// Give all that is known of each entry.
    #[arg(long)]
    #[serde(default)]
    pub details: bool,
}

/// What happened, the newest last.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ResourceTimelineOutput {
    pub total: usize,
    /// Older ones that were left out.
    pub left_out: usize,
    pub columns: Vec<&'static str>,
    /// WHAT is `call`, `created`, `write`, `rollout`, `condition`, `container`, `event` or `deletion`.
    pub rows: Vec<Vec<String>>,
    /// All that is known of each row, if it was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Value>,
    /// What nobody recorded, and what could not be read.
    pub not_known: Vec<String>,
}

struct ResourceTimeline;

impl Operation for ResourceTimeline {
    type Deck = Deck;
    type Input = ResourceTimelineInput;
    type Output = ResourceTimelineOutput;

    const SPEC: Spec = Spec::observe(
        "resource_timeline",
        "/v1/resources/{kind}/{name}/timeline",
        "List what changed of an object: writes by field, events, rollouts, and calls made through Quarterdeck.",
    );

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.object.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.object.target()
    }

    /// Who may not read the audit log does not read it here either.
    fn parts(input: &Self::Input) -> Result<Vec<Part>> {
        if input.without_calls {
            return Ok(Vec::new());
        }
        let arguments = json!({ "target": input.object.target().to_string() });
        Ok(vec![Part { operation: "audit_list".to_owned(), arguments }])
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let place = input.object.place(&deck).await?;
        let mut line = timeline::read(&place).await?;
        let mut not_known = vec![timeline::LIMITS.to_owned()];
        if !input.without_calls {
            // Before a cluster was asked for its kinds, calls have named a custom one as its plural too.
            let own = &place.resource;
            let mut words = vec![input.object.kind.clone(), own.target_kind(), own.full_name()];
            words.sort();
            words.dedup();
            for word in words {
                let target = input.object.within.target(&word, &input.object.name).to_string();
                let (calls, more) = calls(&cx, &target).await?;
                line.entries.extend(calls);
                if more {
                    not_known.push(format!("older calls: audit_list --target {target} has them"));
                }
            }
            line.sort();
        }
        not_known.append(&mut line.not_read);
        let total = line.entries.len();
        let most = usize::try_from(input.limit.unwrap_or(100)).unwrap_or(usize::MAX);
        let left_out = total.saturating_sub(most);
        line.entries.drain(..left_out);
        let row =
            |e: &Entry| vec![e.at.to_string(), e.what.as_str().to_owned(), e.who.clone(), e.summary.clone()];
        let detail = |e: &Entry| json!({ "warning": e.warning, "known": e.detail });
        Ok(ResourceTimelineOutput {
            total,
            left_out,
            columns: vec!["TIME", "WHAT", "WHO", "SUMMARY"],
            rows: line.entries.iter().map(row).collect(),
            details: if input.details { line.entries.iter().map(detail).collect() } else { Vec::new() },
            not_known,
        })
    }
}

/// The calls on this object that ended, wait or were refused, and whether there are older ones.
async fn calls(cx: &Context, target: &str) -> Result<(Vec<Entry>, bool)> {
    let kinds = [
        AuditKind::Outcome,
        AuditKind::Executed,
        AuditKind::Denied,
        AuditKind::Proposed,
        AuditKind::Expired,
        AuditKind::Withdrawn,
        AuditKind::Interrupted,
        // These say what the same command is.
        AuditKind::Intent,
        AuditKind::Consumed,
    ];
    let filter = AuditFilter {
        target: Some(target.to_owned()),
        kinds: kinds.to_vec(),
        limit: CALLS,
        ..AuditFilter::default()
    };
    let page = cx.gate().audit(filter).await?;
    // The log finds parts of targets: another object's name may begin with this one's.
    let own = page.rows.into_iter().filter(|row| row.target == target);
    let (begun, ended): (Vec<AuditRow>, Vec<AuditRow>) =
        own.partition(|row| matches!(row.kind, AuditKind::Intent | AuditKind::Consumed));
    let command = |call: Option<CallId>| -> Option<&str> {
        let row = begun.iter().find(|row| call.is_some() && row.call == call)?;
        row.detail.get("equivalent")?.as_str()
    };
    let entries = ended.into_iter().map(|row| {
        let same = command(row.call).map(str::to_owned);
        entry(row, same)
    });
    Ok((entries.collect(), page.next.is_some()))
}

fn entry(row: AuditRow, same: Option<String>) -> Entry {
    let how = match (row.kind, &row.code) {
        (AuditKind::Outcome | AuditKind::Executed, None) => "done".to_owned(),
        (AuditKind::Outcome | AuditKind::Executed, Some(code)) => format!("failed: {code}"),
        (AuditKind::Interrupted, _) => "interrupted: whether it took effect is not known".to_owned(),
        (kind, _) => kind.as_str().to_owned(),
    };
    let same = same.map(|command| format!(" ({command})")).unwrap_or_default();
    Entry {
        at: row.at,
        what: What::Call,
        who: row.actor.clone(),
        summary: format!("{}: {how}{same}", row.operation),
        warning: row.code.is_some() || matches!(row.kind, AuditKind::Denied | AuditKind::Interrupted),
        detail: json!({ "seq": row.seq, "call": row.call, "approval": row.approval, "door": row.door, "role": row.role,
            "milliseconds": row.milliseconds, "detail": row.detail }),
    }
}
