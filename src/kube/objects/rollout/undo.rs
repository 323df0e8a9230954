//! Going back to a revision.

use serde_json::Value;

use super::history::{self, CAUSE, Revision};
use super::{check, replaced};
use crate::base;
use crate::kube::objects::amend;
use crate::kube::objects::describe::part::text;
use crate::kube::objects::place::{Place, Seen};
use crate::kube::objects::plan::Plan;

/// What going back would do; the revision that it would go back to.
pub async fn plan(place: &Place, to: Option<i64>) -> base::Result<(Plan, i64)> {
    let found = find(place, to).await?;
    let (mut plan, live) = amend::plan(place, |object: &mut Value| alter(object, &found)).await?;
    if plan.before == plan.after {
        plan.warnings.push(format!("its template is that of revision {} already", found.number));
    } else {
        plan.affects.push(format!("the template becomes that of revision {} ({})", found.number, found.name));
    }
    replaced(place, &live, &mut plan).await;
    Ok((plan, found.number))
}

/// Goes back; the revision that it went back to.
pub async fn run(place: &Place, to: Option<i64>, seen: Option<&Seen>) -> base::Result<(i64, Seen)> {
    let found = find(place, to).await?;
    let after = amend::run(place, seen, |object: &mut Value| alter(object, &found)).await?;
    Ok((found.number, Seen::of(&after)))
}

async fn find(place: &Place, to: Option<i64>) -> base::Result<Revision> {
    check(place)?;
    let live = place.get().await?;
    history::choose(place, history::read(place, &live).await?, to.filter(|n| *n > 0))
}

fn alter(object: &mut Value, to: &Revision) -> base::Result<()> {
    if object.pointer("/spec/paused") == Some(&Value::Bool(true)) {
        return Err(base::Error::new(
            base::Code::Conflict,
            format!("deployment {} is paused", text(object, "/metadata/name")),
        )
        .next("Resume it first: a paused deployment rolls nothing out."));
    }
    object["spec"]["template"] = to.template.clone();
    // As kubectl does it: the words said for that revision are said of it again.
    if !to.cause.is_empty()
        && let Some(cause) = object.pointer_mut(CAUSE)
    {
        *cause = to.cause.as_str().into();
    }
    Ok(())
}
