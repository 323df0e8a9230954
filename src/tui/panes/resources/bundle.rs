//! The report of an object, saved where screen dumps go.

use std::io::Write as _;

use super::Resources;
use crate::gate::{Reply, Request};
use crate::tui::effect::{Cx, Flash, Ticket};
use crate::tui::object::ObjectRef;
use crate::tui::panes::save;

/// What is under way of it.
#[derive(Default)]
pub(super) struct Bundling {
    asked: Option<(Ticket, ObjectRef)>,
    saving: Option<Ticket>,
}

impl Resources {
    /// Asks for the report of the object under the cursor.
    pub(super) fn bundle(&mut self, cx: &mut Cx<'_>) {
        let Some(object) = self.object() else { return super::keys::nothing(cx) };
        if self.bundling.asked.is_some() {
            return cx.flash(Flash::info("a report is being made already"));
        }
        let ticket = cx.call(Request::new("resource_bundle", object.arguments()));
        cx.flash(Flash::info(format!("making a report of {} {}…", object.plural(), object.name)));
        self.bundling.asked = Some((ticket, object));
    }

    /// Writes the report that came; `false` if the answer is of something else.
    pub(super) fn bundled(
        &mut self,
        ticket: Ticket,
        result: &crate::base::Result<Reply>,
        cx: &mut Cx<'_>,
    ) -> bool {
        let Some((_, object)) = self.bundling.asked.take_if(|(asked, _)| *asked == ticket) else {
            return false;
        };
        match result {
            Ok(Reply::Done { output, .. }) => {
                let text = output["text"].as_str().unwrap_or_default().to_owned();
                let name = format!("{}-{}", object.plural(), object.name);
                let now = cx.now;
                let write = move || save::save(&name, "md", now, |out| out.write_all(text.as_bytes()));
                self.bundling.saving = Some(cx.job(write));
            }
            Ok(Reply::Held(held)) => cx.flash(Flash::warning(held.reason.clone())),
            Err(error) => cx.error(error),
        }
        true
    }

    /// Whether a job is the writing of a report.
    pub(super) fn is_bundle(&mut self, ticket: Ticket) -> bool {
        self.bundling.saving.take_if(|saving| *saving == ticket).is_some()
    }
}
