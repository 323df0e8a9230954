//! Other images for the containers of whatever keeps or is a pod.

use serde_json::{Value, json};

use super::replaced;
use crate::base;
use crate::kube::objects::amend;
use crate::kube::objects::describe::part::{items, text};
use crate::kube::objects::place::{Place, Seen};
use crate::kube::objects::plan::Plan;

/// An image for the container of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub container: String,
    pub image: String,
}

impl Wanted {
    /// Reads `container=image`.
    pub fn parse(text: &str) -> base::Result<Self> {
        let wrong = || {
            base::Error::invalid(format!("{text:?} is not container=image"))
                .next("Write web=registry.example/web:2, and *=… for every container.")
        };
        let (container, image) = text.split_once('=').ok_or_else(wrong)?;
        if container.is_empty() || image.trim().is_empty() || image.contains(char::is_whitespace) {
            return Err(wrong());
        }
        Ok(Self { container: container.to_owned(), image: image.to_owned() })
    }
}

/// Where the pod's own specification is in an object.
pub fn pod_spec(object: &Value) -> &'static str {
    match text(object, "/kind").as_str() {
        "Pod" => "/spec",
        "CronJob" => "/spec/jobTemplate/spec/template/spec",
        _ => "/spec/template/spec",
    }
}

/// What other images would do.
pub async fn plan(place: &Place, wanted: &[Wanted]) -> base::Result<Plan> {
    let (mut plan, live) = amend::plan(place, |object: &mut Value| alter(place, object, wanted)).await?;
    match text(&live, "/kind").as_str() {
        "Pod" => plan.affects.push("the containers in question are restarted in place".to_owned()),
        "CronJob" => plan.affects.push("jobs that begin from now on have it".to_owned()),
        "ReplicaSet" => {
            plan.warnings.push("pods that are there keep their image: only new ones get it".into())
        }
        _ => replaced(place, &live, &mut plan).await,
    }
    Ok(plan)
}

pub async fn run(place: &Place, wanted: &[Wanted], seen: Option<&Seen>) -> base::Result<Seen> {
    let after = amend::run(place, seen, |object: &mut Value| alter(place, object, wanted)).await?;
    Ok(Seen::of(&after))
}

fn alter(place: &Place, object: &mut Value, wanted: &[Wanted]) -> base::Result<()> {
    let at = pod_spec(object);
    let Some(spec) = object.pointer_mut(at) else {
        return Err(base::Error::unsupported(format!("{} has no containers", place.words()))
            .next("Name a pod, or what makes pods."));
    };
    let known: Vec<String> = ["/initContainers", "/containers"]
        .iter()
        .flat_map(|list| items(spec, list).iter().map(|c| text(c, "/name")))
        .collect();
    for wanted in wanted {
        let mut found = false;
        for list in ["initContainers", "containers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                let named = wanted.container == "*" || container["name"] == json!(wanted.container);
                if named {
                    container["image"] = json!(wanted.image);
                    found = true;
                }
            }
        }
        if !found {
            let what = format!("{} has no container {:?}", place.words(), wanted.container);
            return Err(base::Error::not_found(what).next(format!("It has {}.", known.join(", "))));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_read_with_its_container() {
        let wanted = Wanted::parse("web=registry:5000/web@sha256:ab=").unwrap();
        assert_eq!(
            (wanted.container.as_str(), wanted.image.as_str()),
            ("web", "registry:5000/web@sha256:ab=")
        );
        for wrong in ["web", "=x", "web=", "web=a b"] {
            assert!(Wanted::parse(wrong).is_err(), "{wrong}");
        }
    }
}
