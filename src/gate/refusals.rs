//! Calls that are turned away before it is known what they would do: too many, no such operation,
//! arguments that do not fit. They are in the audit log too, at a price that a flood cannot raise.
//!
//! The first of an asker and a reason is a row at once. Those that follow within [`WINDOW`] are
//! counted, and their number is one more row when the window ends. At most [`OPEN`] windows are open;
//! beyond, all others share one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use parking_lot::Mutex;
use serde_json::json;

use super::engine::Gate;
use crate::base::{Actor, Code, Error, SafeText};
use crate::bus::{CallEvent, CallPhase, Event};
use crate::store::{AuditKind, Draft};

const WINDOW: Duration = Duration::from_secs(10);
const OPEN: usize = 256;
/// The longest name of an operation that is written down.
const NAME: usize = 80;

/// Whose refusals, and why.
type Key = (CompactString, Code);

#[derive(Default)]
pub(in crate::gate) struct Refusals {
    windows: Mutex<HashMap<Key, Window>>,
}

/// What came after the first.
struct Window {
    actor: Arc<Actor>,
    more: u64,
    /// What the last one called.
    operation: String,
}

impl Gate {
    /// Records a call that got no further than the door step.
    pub(in crate::gate) fn turned_away(&self, actor: &Arc<Actor>, operation: &str, error: &Error) {
        let name: String = operation.chars().take(NAME).collect();
        let name = SafeText::new(&name).as_str().to_owned();
        let mut key = (compact_str::format_compact!("{actor}"), error.code);
        {
            let mut windows = self.inner.refusals.windows.lock();
            if windows.len() >= OPEN && !windows.contains_key(&key) {
                key.0 = CompactString::const_new("*");
            }
            if let Some(window) = windows.get_mut(&key) {
                window.more += 1;
                window.operation = name;
                return;
            }
            let window = Window { actor: actor.clone(), more: 0, operation: name.clone() };
            windows.insert(key.clone(), window);
        }
        let message = self.inner.redactor.text(&error.message).into_owned();
        let row = Draft::new(AuditKind::Denied, self.now(), actor, name.clone())
            .code(Some(error.code))
            .detail(json!({ "error": message, "before": "policy" }));
        self.inner.store.append_later(row);
        self.bus().publish(Event::Call(CallEvent {
            call: crate::base::ids::CallId::new(),
            actor: (**actor).clone(),
            operation: name,
            target: String::new(),
            at: self.now(),
            phase: CallPhase::Denied { error: self.clean_error(error.clone()) },
        }));
        let weak = Arc::downgrade(&self.inner);
        tokio::spawn(async move {
            tokio::time::sleep(WINDOW).await;
            if let Some(inner) = weak.upgrade() {
                Gate::over(inner).close_window(&key);
            }
        });
    }

    fn close_window(&self, key: &Key) {
        let window = self.inner.refusals.windows.lock().remove(key);
        if let Some(row) = window.and_then(|window| self.counted(key, window)) {
            self.inner.store.append_later(row);
        }
    }

    /// Writes what is counted so far: the session ends.
    pub(in crate::gate) fn close_windows(&self) {
        let windows = std::mem::take(&mut *self.inner.refusals.windows.lock());
        for (key, window) in windows {
            if let Some(row) = self.counted(&key, window) {
                self.inner.store.append_later(row);
            }
        }
    }

    fn counted(&self, key: &Key, window: Window) -> Option<Draft> {
        if window.more == 0 {
            return None;
        }
        let whose = if key.0 == "*" { "several askers" } else { "the same asker" };
        let detail = json!({
            "error": format!("{} more such calls of {whose} within {} s", window.more, WINDOW.as_secs()),
            "repeated": window.more,
            "before": "policy",
        });
        Some(
            Draft::new(AuditKind::Denied, self.now(), &window.actor, window.operation)
                .code(Some(key.1))
                .detail(detail),
        )
    }
}
