//! Addresses of pages about an object in other systems, made from templates: a log system, a dashboard.
//!
//! What an object says of itself is encoded, so that it stays in the place that the template gives it; and it never
//! chooses the host: only the name of the cluster, which is the operator's own, may stand there.

use serde_json::Value;
use url::Url;

use super::mask::mask_secret;
use super::place::Place;
use crate::base::config::Link;
use crate::base::{Error, Result};
use crate::kube::Resource;
use crate::kube::kinds::encode;
use crate::rows::path::Path;

/// A piece of a template.
#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Text(&'a str),
    Hole(&'a str),
}

/// Cuts a template at its holes. `{{` and `}}` are braces.
fn pieces(template: &str) -> Result<Vec<Piece<'_>>, String> {
    let (mut all, mut rest) = (Vec::new(), template);
    while let Some(at) = rest.find(['{', '}']) {
        let (text, tail) = rest.split_at(at);
        all.push(Piece::Text(text));
        let doubled = tail.starts_with("{{") || tail.starts_with("}}");
        rest = if doubled {
            all.push(Piece::Text(&tail[..1]));
            &tail[2..]
        } else {
            let inside = tail.strip_prefix('{').and_then(|tail| tail.split_once('}'));
            let (hole, after) =
                inside.ok_or_else(|| "a brace is alone: write {{ or }} for one".to_owned())?;
            all.push(Piece::Hole(hole));
            after
        };
    }
    all.push(Piece::Text(rest));
    Ok(all)
}

/// What an object has to fill holes with.
pub struct Facts {
    cluster: String,
    resource: Resource,
    container: Option<String>,
    /// Without the values of a Secret.
    object: Value,
}

impl Facts {
    /// Reads the object. `container`: one of it that is meant.
    pub async fn read(place: &Place, container: Option<String>) -> Result<Self> {
        let mut object = place.get().await?;
        mask_secret(&mut object);
        let cluster = place.cluster.name().to_string();
        Ok(Self { cluster, resource: place.resource.clone(), container, object })
    }

    /// Whether a link is for objects of this kind.
    pub fn fits(&self, link: &Link) -> bool {
        let is = |kind: &String| {
            let kind = kind.trim().to_lowercase();
            let r = &self.resource;
            [r.full_name(), r.target_kind(), r.plural.to_string(), r.singular.to_string()].contains(&kind)
                || r.short_names.iter().any(|short| **short == *kind)
        };
        link.kinds.is_empty() || link.kinds.iter().any(is)
    }

    fn at(&self, pointer: &str) -> Option<String> {
        self.object.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
    }

    /// What fills a hole. An error is why nothing does.
    fn fill(&self, hole: &str) -> Result<String, String> {
        let name = || self.at("/metadata/name");
        let value = match hole {
            "cluster" => Some(self.cluster.clone()),
            "namespace" => self.at("/metadata/namespace"),
            "kind" => Some(self.resource.kind.to_string()),
            "name" => name(),
            "uid" => self.at("/metadata/uid"),
            "pod" => name().filter(|_| self.resource.is_pods()),
            "node" if self.resource.is_nodes() => name(),
            "node" => self.at("/spec/nodeName"),
            "container" => self.container.clone(),
            _ => match (hole.strip_prefix("label:"), hole.starts_with('.')) {
                (Some(key), _) => self.object["metadata"]["labels"][key].as_str().map(str::to_owned),
                (None, true) => self.path(hole)?,
                (None, false) => return Err(format!("{{{hole}}} is nothing that a link can have")),
            },
        };
        match value {
            Some(value) if value.contains(|c: char| c.is_control() || matches!(c, '"' | '\\')) => {
                Err(format!("its {hole} has a character that may not stand in a link"))
            }
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(format!("it has no {hole}")),
        }
    }

    fn path(&self, path: &str) -> Result<Option<String>, String> {
        let path = Path::parse(path).map_err(|error| error.to_string())?;
        Ok(path.find(&self.object).first().and_then(|value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        }))
    }

    /// The address of a link about the object. An error is why it has none.
    pub fn url(&self, link: &Link) -> Result<String, String> {
        check(&link.url)?;
        let mut url = String::new();
        for piece in pieces(&link.url)? {
            match piece {
                Piece::Text(text) => url.push_str(text),
                Piece::Hole(hole) => encode(&mut url, &self.fill(hole)?),
            }
        }
        Url::parse(&url).map(String::from).map_err(|error| format!("{url} is no address: {error}"))
    }
}

/// What is wrong with a template, whichever object it is filled for.
fn check(template: &str) -> Result<(), String> {
    let rest = template.strip_prefix("https://").or_else(|| template.strip_prefix("http://"));
    let rest = rest.ok_or("its address must begin with https:// or http://")?;
    let host = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let mut holes = pieces(host)?.into_iter().filter_map(|piece| match piece {
        Piece::Hole(hole) => Some(hole),
        Piece::Text(_) => None,
    });
    if let Some(hole) = holes.find(|hole| *hole != "cluster") {
        return Err(format!("{{{hole}}} may not choose the host: only {{cluster}} may stand there"));
    }
    pieces(rest).map(drop)
}

/// What is wrong with links as they are configured, each with the name of its link.
pub fn mistakes(links: &[Link]) -> Vec<String> {
    let named = |at: usize| links[..at].iter().any(|before| before.name == links[at].name);
    let wrong = |(at, link): (usize, &Link)| match check(&link.url) {
        Err(why) => Some(format!("{}: {why}", link.name)),
        Ok(()) => named(at).then(|| format!("{}: another one has this name", link.name)),
    };
    links.iter().enumerate().filter_map(wrong).collect()
}

/// The links about an object: their names and addresses, and for those that it has not, why.
pub async fn of(
    place: &Place,
    container: Option<String>,
    links: &[Link],
) -> Result<Vec<(String, Result<String, String>)>> {
    if links.is_empty() {
        return Err(Error::not_found("no links are configured").next(
            "List them in config.yaml: kubernetes.links, each with name, kinds and url; `qd config init` shows how.",
        ));
    }
    let facts = Facts::read(place, container).await?;
    let fitting = links.iter().filter(|link| facts.fits(link));
    Ok(fitting.map(|link| (link.name.clone(), facts.url(link))).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts() -> Facts {
        let object = json!({
            "metadata": {
                "name": "cart-1", "namespace": "shop", "uid": "u-1",
                "labels": { "app.kubernetes.io/name": "cart & co" },
                "annotations": { "evil": "x\"}", "host": "evil.example/" },
            },
            "spec": { "nodeName": "node-1", "priority": 7 },
        });
        let cluster = "eu-1".to_owned();
        Facts { cluster, resource: Resource::pods(), container: None, object }
    }

    fn url(template: &str) -> Result<String, String> {
        facts().url(&Link { url: template.to_owned(), ..Link::default() })
    }

    #[test]
    fn holes_are_filled_and_what_fills_them_stays_in_its_place() {
        let made = url(
            "https://logs.{cluster}.example/{namespace}/{pod}?node={node}&q={{app=\"{label:app.kubernetes.io/name}\"}}",
        );
        assert_eq!(
            made.unwrap(),
            "https://logs.eu-1.example/shop/cart-1?node=node-1&q={app=%22cart%20%26%20co%22}"
        );
        assert_eq!(
            url("https://x.example/{.spec.priority}/{uid}/{kind}").unwrap(),
            "https://x.example/7/u-1/Pod"
        );
        let escaped = url("https://x.example/a/{.metadata.annotations.host}b").unwrap();
        assert_eq!(escaped, "https://x.example/a/evil.example%2Fb");
    }

    #[test]
    fn what_cannot_be_filled_says_why() {
        for (template, says) in [
            ("https://x.example/{container}", "it has no container"),
            ("https://x.example/{label:tier}", "it has no label:tier"),
            ("https://x.example/{secret}", "nothing that a link can have"),
            ("https://x.example/{name", "a brace is alone"),
            ("https://{.metadata.annotations.host}/", "may not choose the host"),
            ("https://{name}.example", "may not choose the host"),
            ("https://x.example/{.metadata.annotations.evil}", "may not stand in a link"),
            ("javascript:alert(1)", "must begin with https://"),
            ("{name}://x", "must begin with https://"),
        ] {
            let error = url(template).unwrap_err();
            assert!(error.contains(says), "{template}: {error}");
        }
    }

    #[test]
    fn what_is_wrong_with_each_link_is_known_without_an_object() {
        let link = |name: &str, url: &str| Link { name: name.into(), url: url.into(), ..Link::default() };
        let links = [
            link("a", "https://x.example/{name}"),
            link("b", "https://x.example/{name"),
            link("c", "ftp://x.example/"),
            link("a", "https://x.example/"),
        ];
        let said = mistakes(&links);
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].starts_with("b: a brace") && said[1].starts_with("c: its address"), "{said:?}");
        assert_eq!(said[2], "a: another one has this name");
    }

    #[test]
    fn a_link_is_for_its_kinds() {
        let link = |kinds: &[&str]| Link {
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            ..Link::default()
        };
        assert!(
            facts().fits(&link(&[]))
                && facts().fits(&link(&["nodes", "Pods"]))
                && facts().fits(&link(&["po"]))
        );
        assert!(!facts().fits(&link(&["deployments.apps"])));
    }
}
