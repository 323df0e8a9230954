//! Going back to a revision of a release: its manifest is put in place of the last one's, and a new revision is written, as
//! Helm does it. Hooks are not run, and that is said.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::{Release, codec, history, merge, secrets};
use crate::base::{self, Code};
use crate::bus::{Item, ItemState};
use crate::kube::objects::describe::part::text;
use crate::kube::objects::manifest::{self, Document};
use crate::kube::objects::place::{Place, Seen};
use crate::kube::objects::plan::{MANAGER, Plan, comparable, comparable_new, refusal, sides};
use crate::kube::objects::{amend, apply, delete};
use crate::kube::{Call, Cluster};

/// What becomes of one object.
struct Step {
    document: Document,
    /// What the last revision says of it, if it has it.
    base: Value,
    /// The revision gone back to does not have it.
    goes: bool,
}

/// Both revisions, and the steps between them.
struct Way {
    last: Release,
    target: Release,
    steps: Vec<Step>,
    /// Left where they are by their own annotation.
    kept: Vec<String>,
}

/// What a rollback did.
#[derive(Debug)]
pub struct Report {
    /// The new revision.
    pub revision: i64,
    pub to: i64,
    /// `deployment web changed`
    pub objects: Vec<String>,
}

async fn way(cluster: &Cluster, namespace: &str, name: &str, to: Option<i64>) -> base::Result<Way> {
    let mut all = history(cluster, namespace, name).await?;
    let known: Vec<String> = all.iter().map(|r| r.revision.to_string()).collect();
    let Some(last) = all.pop() else { return Err(base::Error::not_found("no revision is kept")) };
    let target = match to {
        Some(to) if to == last.revision => {
            return Err(base::Error::invalid(format!("release {name} is at revision {to} already")));
        }
        Some(to) => all.into_iter().find(|r| r.revision == to),
        // As Helm: the last one that was in place before.
        None => all.into_iter().rev().find(|r| r.status == "superseded" || r.status == "deployed"),
    };
    let Some(target) = target else {
        return Err(base::Error::not_found(format!("release {name} has no such revision before the last"))
            .next(format!("There are {}.", known.join(", "))));
    };
    let (now, then) = (objects(&last)?, objects(&target)?);
    let same = |a: &Document, b: &Document| {
        a.resolvable() == b.resolvable() && a.name() == b.name() && a.namespace() == b.namespace()
    };
    let mut kept = Vec::new();
    let mut steps: Vec<Step> = Vec::new();
    for document in &then {
        let base = now.iter().find(|d| same(d, document)).map(|d| d.value.clone()).unwrap_or_default();
        steps.push(Step { document: document.clone(), base, goes: false });
    }
    for document in now.into_iter().filter(|d| !then.iter().any(|t| same(d, t))) {
        if is_kept(&document) {
            kept.push(document.words());
        } else {
            steps.push(Step { base: document.value.clone(), document, goes: true });
        }
    }
    Ok(Way { last, target, steps, kept })
}

/// Whether its author wants it to stay when its release lets it go.
pub(super) fn is_kept(document: &Document) -> bool {
    let policy = text(&document.value, "/metadata/annotations/helm.sh~1resource-policy");
    policy.trim().eq_ignore_ascii_case("keep")
}

pub(super) fn objects(release: &Release) -> base::Result<Vec<Document>> {
    let manifest = release.manifest();
    if manifest.lines().all(|l| l.trim().is_empty() || l.starts_with('#') || l.starts_with("---")) {
        return Ok(Vec::new());
    }
    manifest::parse(&manifest)
}

pub(super) async fn place(
    cluster: &Arc<Cluster>,
    namespace: &str,
    document: &Document,
) -> base::Result<Place> {
    let resource = cluster.resolve(&document.resolvable()).await?;
    let own = document.namespace();
    Ok(Place::at(cluster.clone(), resource, own.as_deref().or(Some(namespace)), &document.name()))
}

/// The release as one state: another revision written meanwhile is another rollback.
pub(super) fn seen(last: &Release) -> Seen {
    let mut hash = Sha256::new();
    hash.update(text(&last.secret, "/metadata/uid"));
    hash.update(text(&last.secret, "/metadata/resourceVersion"));
    Seen { uid: text(&last.secret, "/metadata/uid"), revision: hex::encode(&hash.finalize()[..8]) }
}

/// What going back would change, object by object.
pub async fn plan(
    cluster: &Arc<Cluster>,
    namespace: &str,
    name: &str,
    to: Option<i64>,
) -> base::Result<Plan> {
    let way = way(cluster, namespace, name, to).await?;
    let mut plan = Plan { seen: Some(seen(&way.last)), ..Plan::default() };
    let (from, to) = (&way.last, &way.target);
    plan.affects.push(format!(
        "revision {} ({}) → what revision {} had ({}), as revision {}",
        from.revision,
        from.chart(),
        to.revision,
        to.chart(),
        from.revision + 1
    ));
    for step in &way.steps {
        let words = step.document.words();
        let (before, after, outcome) = plan_one(cluster, namespace, step).await.map_err(|mut e| {
            e.message = format!("{words}: {}", e.message);
            e
        })?;
        if before != after {
            plan.before.push_str(&format!("--- # {words}\n{before}"));
            plan.after.push_str(&format!("--- # {words}\n{after}"));
        }
        plan.affects.push(format!("{words}: {outcome}"));
    }
    plan.checks.push("server dry run ok for each object".to_owned());
    for event in ["pre-rollback", "post-rollback"] {
        let hooks = to.hooks(event);
        if !hooks.is_empty() {
            plan.warnings.push(format!("{event} hooks are not run: {}", hooks.join(", ")));
        }
    }
    if !way.kept.is_empty() {
        plan.warnings.push(format!("kept by their annotation: {}", way.kept.join(", ")));
    }
    if from.status.starts_with("pending") {
        plan.warnings.push(format!("the last revision is {}: a helm may be at work on it", from.status));
    }
    Ok(plan)
}

type Sides = (String, String, &'static str);

async fn plan_one(cluster: &Arc<Cluster>, namespace: &str, step: &Step) -> base::Result<Sides> {
    let place = place(cluster, namespace, &step.document).await?;
    let live = place.find_live().await?;
    match (live, step.goes) {
        (None, true) => Ok((String::new(), String::new(), "is gone already")),
        (Some(mut live), true) => {
            comparable(&mut live, &place.resource);
            let (_, text) = sides(None, live);
            Ok((text, String::new(), "deleted"))
        }
        (None, false) => {
            let mut made = create(&place, &step.document, true).await?;
            comparable_new(&mut made, &step.document.value, &place.resource);
            let (before, after) = sides(None, made);
            Ok((before, after, "created"))
        }
        (Some(_), false) if step.document.raw.is_some() => {
            let one = std::slice::from_ref(&step.document);
            let plan = apply::plan(cluster, Some(namespace), one, apply::Options { force: true }).await?;
            let outcome = if plan.before == plan.after { "unchanged" } else { "changed" };
            Ok((plan.before, plan.after, outcome))
        }
        (Some(_), false) => {
            let (base, target) = (&step.base, &step.document.value);
            let (plan, _) = amend::plan(&place, |object: &mut Value| {
                *object = merge::onto(base, target, object);
                Ok(())
            })
            .await?;
            let outcome = if plan.before == plan.after { "unchanged" } else { "changed" };
            Ok((plan.before, plan.after, outcome))
        }
    }
}

async fn create(place: &Place, document: &Document, dry: bool) -> base::Result<Value> {
    let mut value = document.value.clone();
    if let (Some(namespace), Some(meta)) =
        (&place.namespace, value.get_mut("metadata").and_then(Value::as_object_mut))
    {
        meta.insert("namespace".to_owned(), json!(namespace));
    }
    let path = place.resource.path(place.namespace.as_deref(), None);
    let call = Call::post(path).query("fieldManager", MANAGER).query_if("dryRun", dry.then_some("All"));
    let call = match &document.raw {
        Some(raw) => call.body("application/yaml", raw.clone().into_bytes()),
        None => call.json(&value)?,
    };
    place.cluster.json(call).await.map_err(refusal)
}

async fn run_one(cluster: &Arc<Cluster>, namespace: &str, step: &Step) -> base::Result<&'static str> {
    let place = place(cluster, namespace, &step.document).await?;
    let live = place.find_live().await?;
    match (live, step.goes) {
        (None, true) => Ok("was gone already"),
        (Some(_), true) => {
            let options = delete::Options { grace: None, propagation: delete::Propagation::Background };
            delete::run(&place, options, None).await?;
            Ok("deleted")
        }
        (None, false) => create(&place, &step.document, false).await.map(|_| "created"),
        (Some(_), false) if step.document.raw.is_some() => {
            let one = std::slice::from_ref(&step.document);
            let done =
                apply::run(cluster, Some(namespace), one, apply::Options { force: true }, None).await?;
            Ok(done.first().map_or("unchanged", |a| a.outcome))
        }
        (Some(live), false) => {
            let (base, target) = (&step.base, &step.document.value);
            let after = amend::run(&place, None, |object: &mut Value| {
                *object = merge::onto(base, target, object);
                Ok(())
            })
            .await?;
            Ok(if Seen::of(&after) == Seen::of(&live) { "unchanged" } else { "changed" })
        }
    }
}

/// Goes back. With `expected`, only from the revision that was seen.
pub async fn run(
    cluster: &Arc<Cluster>,
    (namespace, name): (&str, &str),
    to: Option<i64>,
    expected: Option<&Seen>,
    (now, cancel): (Timestamp, &CancellationToken),
    tell: impl Fn(usize, usize, Item) + Send + Sync,
) -> base::Result<Report> {
    let way = way(cluster, namespace, name, to).await?;
    if expected.is_some_and(|e| *e != seen(&way.last)) {
        return Err(base::Error::new(
            Code::Conflict,
            format!("release {name} changed since: nothing was done"),
        )
        .next("Preview the rollback again."));
    }
    let revision = way.last.revision + 1;
    let made = write_new(cluster, &way, revision, now).await?;
    let total = way.steps.len();
    let mut done = Vec::new();
    let mut failure = None;
    for (index, step) in way.steps.iter().enumerate() {
        let words = step.document.words();
        if cancel.is_cancelled() {
            failure = Some(base::Error::new(Code::Cancelled, "it was stopped"));
            break;
        }
        let item = |state, note: &str| Item { name: words.clone(), state, note: note.to_owned() };
        tell(index, total, item(ItemState::Running, ""));
        match run_one(cluster, namespace, step).await {
            Ok(outcome) => {
                tell(index + 1, total, item(ItemState::Done, outcome));
                done.push(format!("{words} {outcome}"));
            }
            Err(e) => {
                tell(index + 1, total, item(ItemState::Failed, &e.message));
                failure = Some(e);
                break;
            }
        }
    }
    if let Some(mut error) = failure {
        close(cluster, &made, "failed", &format!("Rollback \"{name}\" failed: {}", error.message), None)
            .await?;
        error.message = format!(
            "the rollback of {name} to revision {} is not whole: {}; done: {}",
            way.target.revision,
            error.message,
            if done.is_empty() { "nothing".to_owned() } else { done.join(", ") }
        );
        return Err(
            error.next("Mend what it names and roll back again; revision history says what was tried.")
        );
    }
    close(cluster, &made, "deployed", &format!("Rollback to {}", way.target.revision), None).await?;
    if way.last.status == "deployed" {
        close(cluster, &way.last.secret, "superseded", &way.last.description(), None).await?;
    }
    Ok(Report { revision, to: way.target.revision, objects: done })
}

/// The new revision, marked as not finished yet, so that a helm that looks meanwhile knows.
async fn write_new(cluster: &Cluster, way: &Way, revision: i64, now: Timestamp) -> base::Result<Value> {
    let name = &way.last.name;
    let mut body = way.target.body.clone();
    body["version"] = json!(revision);
    body["info"]["first_deployed"] = way.last.body["info"]["first_deployed"].clone();
    body["info"]["last_deployed"] = json!(now.to_string());
    body["info"]["deleted"] = json!("");
    body["info"]["status"] = json!("pending-rollback");
    body["info"]["description"] = json!(format!("Rollback to {}", way.target.revision));
    let mut labels = way.target.secret.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({}));
    labels["version"] = json!(revision.to_string());
    labels["status"] = json!("pending-rollback");
    labels["modifiedAt"] = json!(now.as_second().to_string());
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
        "metadata": {"name": format!("sh.helm.release.v1.{name}.v{revision}"), "labels": labels},
        "data": {"release": codec::encode(&body).map_err(base::Error::internal)?},
    });
    let call = Call::post(secrets(Some(&way.last.namespace))).query("fieldManager", MANAGER).json(&secret)?;
    cluster.json(call).await.map_err(refusal)
}

/// Writes how a revision ended, and since when it is deleted. The resource version in the Secret makes the server refuse it
/// after another's change.
pub(super) async fn close(
    cluster: &Cluster,
    secret: &Value,
    status: &str,
    description: &str,
    deleted: Option<Timestamp>,
) -> base::Result<()> {
    let mut secret = secret.clone();
    // The items of a list do not repeat what the list says of them.
    secret["apiVersion"] = json!("v1");
    secret["kind"] = json!("Secret");
    let mut body = codec::decode(&text(&secret, "/data/release")).map_err(base::Error::internal)?;
    body["info"]["status"] = json!(status);
    body["info"]["description"] = json!(description);
    if let Some(at) = deleted {
        body["info"]["deleted"] = json!(at.to_string());
    }
    secret["metadata"]["labels"]["status"] = json!(status);
    secret["data"]["release"] = json!(codec::encode(&body).map_err(base::Error::internal)?);
    let (namespace, name) = (text(&secret, "/metadata/namespace"), text(&secret, "/metadata/name"));
    let path = format!("{}/{name}", secrets(Some(&namespace)));
    cluster.json(Call::put(path).query("fieldManager", MANAGER).json(&secret)?).await.map_err(refusal)?;
    Ok(())
}
