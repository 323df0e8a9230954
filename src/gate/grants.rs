//! Grants: leave for an agent to make reversible changes without asking, narrow, counted and for a time.

use super::approval::{Grant, NewGrant, TargetPattern};
use super::call::Call;
use super::engine::Gate;
use super::policy::is_agent;
use super::run::refused_by_store;
use super::spec::{Effect, Right};
use crate::base::ids::GrantId;
use crate::base::{Actor, ActorKind, Code, Error, Result};
use crate::bus::Level;
use crate::store::GrantRecord;

impl Gate {
    pub(crate) async fn create_grant(&self, by: &Actor, new: NewGrant) -> Result<Grant> {
        if is_agent(by) {
            return Err(Error::new(Code::PermissionDenied, "an agent never grants"));
        }
        self.check_grant(&new)?;
        let now = self.now();
        let record = GrantRecord {
            id: GrantId::new(),
            created_by: by.clone(),
            created_at: now,
            agent: new.agent,
            operations: new.operations,
            target: serde_json::to_value(&new.target).map_err(Error::internal)?,
            uses: new.uses,
            uses_left: new.uses,
            expires_at: now.checked_add(new.lifetime).map_err(Error::internal)?,
            revoked_at: None,
            revoked_by: None,
            reason: new.reason,
        };
        self.inner.store.create_grant(record.clone()).await.map_err(refused_by_store)?;
        self.notice(
            Level::Info,
            format!("{by} granted {} {} × {}", record.agent, record.uses, record.operations.join(", ")),
        );
        self.inner.approvals.send_modify(|n| *n += 1);
        self.shown(record)
    }

    /// Reversible changes only, each named; some part of the target named; a number and a time.
    fn check_grant(&self, new: &NewGrant) -> Result<()> {
        let longest = self.inner.settings.grant_lifetime;
        if new.agent.is_empty() || new.operations.is_empty() {
            return Err(Error::invalid("a grant names its agent and at least one operation"));
        }
        for name in &new.operations {
            let spec = *self.operation(name)?.spec();
            if spec.effect != Effect::Change || spec.right != Right::Use {
                return Err(Error::invalid(format!(
                    "{name} cannot be granted: grants are for reversible changes, and it is {}",
                    match spec.right {
                        Right::Decide => "a decision",
                        Right::Person => "for persons alone",
                        Right::Use => spec.effect.as_str(),
                    }
                )));
            }
        }
        if new.target == TargetPattern::default() {
            return Err(Error::invalid("a grant for every target is no grant but a policy")
                .next("Name at least the cluster, the namespace, the kind or the name."));
        }
        if !(1..=1000).contains(&new.uses) {
            return Err(Error::invalid("a grant is for 1 to 1000 uses"));
        }
        if new.lifetime.is_zero() || new.lifetime > longest {
            return Err(Error::invalid(format!("a grant lasts at most {} minutes", longest.as_secs() / 60)));
        }
        Ok(())
    }

    /// Revokes one grant, or all; gives how many were in force.
    pub(crate) async fn revoke_grants(&self, by: &Actor, id: Option<GrantId>) -> Result<u64> {
        let revoked = self.inner.store.revoke_grants(id, by, self.now()).await.map_err(refused_by_store)?;
        if revoked > 0 {
            self.notice(Level::Info, format!("{by} revoked {revoked} grants"));
            self.inner.approvals.send_modify(|n| *n += 1);
        }
        Ok(revoked)
    }

    /// Newest first.
    pub(crate) async fn grants(&self, in_force: bool) -> Result<Vec<Grant>> {
        let records = self.inner.store.grants(in_force.then(|| self.now())).await?;
        records.into_iter().map(|record| self.shown(record)).collect()
    }

    fn shown(&self, record: GrantRecord) -> Result<Grant> {
        let now = self.now();
        let state = match &record {
            r if r.revoked_at.is_some() => "revoked",
            r if r.uses_left == 0 => "used up",
            r if r.expires_at <= now => "expired",
            _ => "active",
        };
        Ok(Grant {
            grant: record.id,
            agent: record.agent,
            operations: record.operations,
            target: serde_json::from_value(record.target).map_err(Error::internal)?,
            uses: record.uses,
            uses_left: record.uses_left,
            created_at: record.created_at,
            expires_at: record.expires_at,
            created_by: record.created_by,
            reason: record.reason,
            state: state.to_owned(),
        })
    }

    /// A grant that covers the call. Its use is taken with the intent, not here.
    pub(in crate::gate) async fn grant_for(&self, call: &Call) -> Result<Option<GrantId>> {
        if call.spec.effect != Effect::Change || call.actor.kind != ActorKind::Agent {
            return Ok(None);
        }
        let grants = self.inner.store.grants(Some(self.now())).await?;
        Ok(grants
            .iter()
            .filter(|g| g.agent == "*" || g.agent == call.actor.name)
            .filter(|g| g.operations.iter().any(|o| o == call.spec.name))
            .find(|g| {
                serde_json::from_value::<TargetPattern>(g.target.clone())
                    .is_ok_and(|t| t.covers(&call.target))
            })
            .map(|g| g.id))
    }

    /// Whether a grant can no longer be used.
    pub(in crate::gate) async fn grant_gone(&self, id: GrantId) -> bool {
        match self.inner.store.grants(Some(self.now())).await {
            Ok(grants) => !grants.iter().any(|g| g.id == id),
            Err(_) => true,
        }
    }
}
