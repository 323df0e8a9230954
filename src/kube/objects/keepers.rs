//! Who will undo a change: what owns the object, or applies it from elsewhere again and again.
//!
//! Told from what they leave on the object itself; nothing is asked of the server.

use serde_json::Value;

use super::describe::part::{controller, text};

/// Who applies an object, and whether that goes on by itself.
struct Applier {
    who: String,
    again: bool,
}

fn who_applies(object: &Value) -> Vec<Applier> {
    let label = |key: &str| text(object, &format!("/metadata/labels/{}", key.replace('/', "~1")));
    let annotation = |key: &str| text(object, &format!("/metadata/annotations/{}", key.replace('/', "~1")));
    let mut all = Vec::new();
    for (group, kind) in
        [("kustomize.toolkit.fluxcd.io", "Kustomization"), ("helm.toolkit.fluxcd.io", "HelmRelease")]
    {
        let name = label(&format!("{group}/name"));
        let is_off = annotation(&format!("{group}/reconcile")) == "disabled";
        if !name.is_empty() && !is_off {
            let namespace = label(&format!("{group}/namespace"));
            all.push(Applier { who: format!("Flux's {kind} {namespace}/{name}"), again: true });
        }
    }
    // `application:group/Kind:namespace/name`
    let tracked = annotation("argocd.argoproj.io/tracking-id");
    let application = match tracked.split(':').next().filter(|name| !name.is_empty()) {
        Some(name) => name.to_owned(),
        None => label("argocd.argoproj.io/instance"),
    };
    if !application.is_empty() {
        all.push(Applier { who: format!("Argo CD's application {application}"), again: true });
    }
    let release = annotation("meta.helm.sh/release-name");
    if !release.is_empty() && label("app.kubernetes.io/managed-by") == "Helm" {
        let namespace = annotation("meta.helm.sh/release-namespace");
        all.push(Applier { who: format!("the Helm release {namespace}/{release}"), again: false });
    }
    all
}

/// A sentence for each of those who applies the object from elsewhere and sets a change of it back.
pub fn appliers(object: &Value) -> Vec<String> {
    let said = |a: Applier| match a.again {
        true => format!("{} applies it and sets it back, at its next turn if not at once", a.who),
        false => format!("{} made it: its next upgrade may set it back", a.who),
    };
    who_applies(object).into_iter().map(said).collect()
}

/// A sentence for each of those who makes the object anew when it is deleted.
pub fn remakers(object: &Value) -> Vec<String> {
    let again = who_applies(object).into_iter().filter(|a| a.again);
    again.map(|a| format!("{} applies it and makes it anew", a.who)).collect()
}

/// As [`appliers`], with the controller that owns it before them.
pub fn keepers(object: &Value) -> Vec<String> {
    let owner = controller(object);
    let owner = (!owner.is_empty()).then(|| format!("{owner} controls it and may set it back"));
    owner.into_iter().chain(appliers(object)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whoever_applies_or_owns_an_object_is_named() {
        let object = json!({"metadata": {
            "ownerReferences": [{"kind": "Widget", "name": "w", "controller": true}],
            "labels": {
                "kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
                "app.kubernetes.io/managed-by": "Helm",
            },
            "annotations": {
                "argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web",
                "meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": "shop",
            },
        }});
        let said = keepers(&object);
        for (at, name) in
            ["Widget/w", "Kustomization flux-system/apps", "application shop ", "shop/web"].iter().enumerate()
        {
            assert!(said[at].contains(name), "{said:?}");
        }
        assert_eq!(remakers(&object).len(), 2, "a Helm release makes nothing by itself");
        let off = json!({"metadata": {"labels": {"helm.toolkit.fluxcd.io/name": "a"},
            "annotations": {"helm.toolkit.fluxcd.io/reconcile": "disabled", "meta.helm.sh/release-name": "left"}}});
        assert_eq!(keepers(&off), [""; 0]);
    }
}
