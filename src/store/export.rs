//! Audit rows in the forms that other systems read.

use std::fmt::Write as _;

use serde_json::json;

use super::record::{AuditKind, AuditRow};

/// The row as it is, on one line.
pub fn json_line(row: &AuditRow) -> String {
    serde_json::to_string(row).unwrap_or_default()
}

/// An event of the class "API Activity" (6003) of the Open Cybersecurity Schema Framework 1.3.
/// Source: schema.ocsf.io/1.3.0/classes/api_activity.
pub fn ocsf(row: &AuditRow) -> String {
    // 1 create, 2 read, 3 update, 4 delete, 99 other: what the effect says.
    let effect = row.detail.get("effect").and_then(serde_json::Value::as_str);
    let activity = match (row.kind, effect) {
        (AuditKind::Read | AuditKind::WatchStarted | AuditKind::WatchEnded, _) => 2,
        (_, Some("change")) => 3,
        (_, Some("destroy")) => 4,
        _ => 99,
    };
    let (status, status_text) = match (&row.code, row.kind) {
        (Some(_), AuditKind::Interrupted) => (0, "Unknown"),
        (Some(_), _) => (2, "Failure"),
        (None, _) => (1, "Success"),
    };
    let (kind, name) = row.actor.split_once(':').unwrap_or(("", &row.actor));
    json!({
        "category_uid": 6,
        "class_uid": 6003,
        "activity_id": activity,
        "type_uid": 600_300 + activity,
        "time": row.at.as_millisecond(),
        "severity_id": severity(row),
        "status_id": status,
        "status": status_text,
        "status_code": row.code,
        "duration": row.milliseconds,
        "actor": { "user": { "name": name, "type": kind, "groups": [{ "name": row.role }] } },
        "api": { "operation": row.operation, "service": { "name": row.door }, "request": { "uid": row.call } },
        "resources": [{ "name": row.target }],
        "src_endpoint": { "name": row.door },
        "metadata": {
            "version": "1.3.0",
            "uid": row.hash,
            "sequence": row.seq,
            "event_code": row.kind.as_str(),
            "product": { "name": "Quarterdeck", "vendor_name": "Quarterdeck", "version": env!("CARGO_PKG_VERSION") },
        },
        "unmapped": { "approval": row.approval, "detail": row.detail, "prev": row.prev },
    })
    .to_string()
}

/// A line of the Common Event Format, version 0.
/// Source: Micro Focus, "ArcSight Common Event Format", revision 25.
pub fn cef(row: &AuditRow) -> String {
    let mut line = format!(
        "CEF:0|Quarterdeck|qd|{}|{}|{}|{}|",
        header(env!("CARGO_PKG_VERSION")),
        header(row.kind.as_str()),
        header(&row.operation),
        // CEF counts from 0 to 10.
        severity(row) * 2,
    );
    let _ =
        write!(line, "rt={} externalId={} suser={}", row.at.as_millisecond(), row.seq, extension(&row.actor));
    let _ = write!(line, " spriv={} app={}", extension(&row.role), extension(&row.door));
    if !row.target.is_empty() {
        let _ = write!(line, " request={}", extension(&row.target));
    }
    let outcome = row.code.as_deref().unwrap_or("success");
    let _ = write!(line, " outcome={}", extension(outcome));
    if let Some(call) = row.call {
        let _ = write!(line, " cs1Label=call cs1={call}");
    }
    if let Some(approval) = row.approval {
        let _ = write!(line, " cs2Label=approval cs2={approval}");
    }
    let _ = write!(line, " cs3Label=hash cs3={} msg={}", row.hash, extension(&row.detail.to_string()));
    line
}

/// As OCSF counts: 1 informational, 2 low, 3 medium, 4 high.
fn severity(row: &AuditRow) -> u8 {
    match row.kind {
        AuditKind::Interrupted | AuditKind::Gap => 4,
        AuditKind::Denied => 3,
        AuditKind::Intent
        | AuditKind::Outcome
        | AuditKind::Consumed
        | AuditKind::Executed
        | AuditKind::Decided => 2,
        _ => 1,
    }
}

fn header(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ")
}

fn extension(text: &str) -> String {
    text.replace('\\', "\\\\").replace('=', "\\=").replace('\n', "\\n").replace('\r', "\\r")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> AuditRow {
        AuditRow {
            seq: 7,
            at: jiff::Timestamp::from_second(1_700_000_000).unwrap(),
            kind: AuditKind::Outcome,
            call: None,
            actor: "person:ana|b".to_owned(),
            role: "operator".to_owned(),
            door: "screen".to_owned(),
            operation: "deployment_scale".to_owned(),
            target: "eu-1/shop/deployment/a=b".to_owned(),
            approval: None,
            code: Some("conflict".to_owned()),
            milliseconds: Some(12),
            detail: json!({ "effect": "change", "error": "line\nfeed" }),
            prev: "00".to_owned(),
            hash: "ff".to_owned(),
        }
    }

    #[test]
    fn a_cef_line_is_one_line_and_its_separators_are_escaped() {
        let line = cef(&row());
        assert!(!line.contains('\n'));
        assert!(line.starts_with("CEF:0|Quarterdeck|qd|"), "{line}");
        assert!(line.contains(r"request=eu-1/shop/deployment/a\=b"), "{line}");
        assert_eq!(line.matches('|').count(), 8, "{line}");
    }

    #[test]
    fn an_ocsf_event_has_what_its_class_requires() {
        let event: serde_json::Value = serde_json::from_str(&ocsf(&row())).unwrap();
        assert_eq!(event["class_uid"], 6003);
        assert_eq!(event["type_uid"], 600_303);
        assert_eq!(event["status_id"], 2);
        for required in
            ["activity_id", "actor", "api", "category_uid", "metadata", "severity_id", "src_endpoint", "time"]
        {
            assert!(!event[required].is_null(), "{required}");
        }
    }
}
