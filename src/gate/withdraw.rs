//! Taking a held call back: by whoever asked for it, while nobody has decided.

use super::engine::Gate;
use crate::base::ids::ApprovalId;
use crate::base::{Actor, Code, Error, Result};
use crate::bus::ApprovalState;
use crate::store::{AuditKind, Draft};

use super::approval::Decided;
use super::run::refused_by_store;

impl Gate {
    pub(crate) async fn withdraw(&self, actor: &Actor, id: ApprovalId, reason: &str) -> Result<Decided> {
        let mut record = self.approval_record(id).await?;
        // The requester knows the first of a chain; it is the last that waits.
        for _ in 0..1000 {
            let Some(next) = record.superseded_by else { break };
            record = self.approval_record(next).await?;
        }
        if !record.actor.same_as(actor) {
            return Err(Error::new(Code::PermissionDenied, "only who asked for a call takes it back"));
        }
        let at = self.now();
        let row = Draft::new(AuditKind::Withdrawn, at, actor, record.operation.clone())
            .call(record.call)
            .approval(record.id)
            .target(record.target_text.clone())
            .detail(serde_json::json!({
                "state": "withdrawn",
                "reason": self.inner.redactor.text(reason),
                "digest": record.digest,
                "preview_hash": record.preview_hash,
            }));
        self.inner.store.withdraw(record.id, reason, row).await.map_err(refused_by_store)?;
        self.changed(record.id, ApprovalState::Withdrawn);
        Ok(Decided {
            approval: record.id,
            state: ApprovalState::Withdrawn,
            superseded_by: None,
            note: format!("{} on {} was taken back and will not run", record.operation, record.target_text),
        })
    }
}
