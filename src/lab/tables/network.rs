//! Services, endpoints, ingresses, network policies.

use serde_json::Value;

use super::{AGE, NAME, Printer, first_three, labels, name, object_age, or_none, selector};
use crate::lab::object::{at, items, number, text};

pub(super) fn printer(group: &str, plural: &str) -> Option<Printer> {
    Some(match (group, plural) {
        ("", "services") => Printer {
            columns: &[
                NAME,
                ("Type", "string", 0),
                ("Cluster-IP", "string", 0),
                ("External-IP", "string", 0),
                ("Port(s)", "string", 0),
                AGE,
                ("Selector", "string", 1),
            ],
            cells: service,
        },
        ("", "endpoints") => Printer { columns: &[NAME, ("Endpoints", "string", 0), AGE], cells: endpoints },
        ("discovery.k8s.io", "endpointslices") => Printer {
            columns: &[
                NAME,
                ("AddressType", "string", 0),
                ("Ports", "string", 0),
                ("Endpoints", "string", 0),
                AGE,
            ],
            cells: slice,
        },
        ("networking.k8s.io", "ingresses") => Printer {
            columns: &[
                NAME,
                ("Class", "string", 0),
                ("Hosts", "string", 0),
                ("Address", "string", 0),
                ("Ports", "string", 0),
                AGE,
            ],
            cells: ingress,
        },
        ("networking.k8s.io", "ingressclasses") => Printer {
            columns: &[NAME, ("Controller", "string", 0), ("Parameters", "string", 0), AGE],
            cells: |o| vec![name(o), text(o, "spec.controller").into(), "<none>".into(), object_age(o)],
        },
        ("networking.k8s.io", "networkpolicies") => Printer {
            columns: &[NAME, ("Pod-Selector", "string", 0), AGE],
            cells: |o| vec![name(o), selector(at(o, "spec.podSelector")), object_age(o)],
        },
        _ => return None,
    })
}

fn service(o: &Value) -> Vec<Value> {
    let kind = text(o, "spec.type");
    let given: Vec<String> =
        items(o, "spec.externalIPs").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let external = match kind {
        "ClusterIP" | "NodePort" if given.is_empty() => "<none>".to_owned(),
        "ClusterIP" | "NodePort" => given.join(","),
        "LoadBalancer" => {
            let mut all = balancer(o);
            all.extend(given);
            if all.is_empty() { "<pending>".to_owned() } else { all.join(",") }
        }
        "ExternalName" => text(o, "spec.externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    };
    let ports: Vec<String> = items(o, "spec.ports")
        .iter()
        .map(|p| match p["nodePort"].as_i64() {
            Some(node) if node > 0 => format!("{}:{node}/{}", number(p, "port"), text(p, "protocol")),
            _ => format!("{}/{}", number(p, "port"), text(p, "protocol")),
        })
        .collect();
    let address = items(o, "spec.clusterIPs").first().and_then(Value::as_str).unwrap_or_default();
    vec![
        name(o),
        kind.into(),
        or_none(address),
        external.into(),
        or_none(&ports.join(",")),
        object_age(o),
        labels(at(o, "spec.selector")),
    ]
}

/// The addresses of the load balancer.
fn balancer(o: &Value) -> Vec<String> {
    let mut list: Vec<String> = items(o, "status.loadBalancer.ingress")
        .iter()
        .filter_map(|i| i["ip"].as_str().or_else(|| i["hostname"].as_str()))
        .map(str::to_owned)
        .collect();
    list.sort();
    list.dedup();
    list
}

fn endpoints(o: &Value) -> Vec<Value> {
    let mut list = Vec::new();
    for subset in items(o, "subsets") {
        let addresses = items(subset, "addresses").iter().filter_map(|a| a["ip"].as_str());
        match items(subset, "ports") {
            [] => list.extend(addresses.map(str::to_owned)),
            ports => {
                for port in ports {
                    list.extend(addresses.clone().map(|ip| format!("{ip}:{}", number(port, "port"))));
                }
            }
        }
    }
    let text = if list.is_empty() { "<none>".to_owned() } else { first_three(&list) };
    vec![name(o), text.into(), object_age(o)]
}

fn slice(o: &Value) -> Vec<Value> {
    let ports: Vec<String> = items(o, "ports").iter().map(|p| super::scalar(&p["port"])).collect();
    let addresses: Vec<String> = items(o, "endpoints")
        .iter()
        .flat_map(|e| items(e, "addresses"))
        .filter_map(|a| a.as_str().map(str::to_owned))
        .collect();
    vec![
        name(o),
        text(o, "addressType").into(),
        first_three(&ports).into(),
        first_three(&addresses).into(),
        object_age(o),
    ]
}

fn ingress(o: &Value) -> Vec<Value> {
    let rules = items(o, "spec.rules");
    let hosts: Vec<String> = rules
        .iter()
        .filter_map(|r| r["host"].as_str())
        .filter(|h| !h.is_empty())
        .map(str::to_owned)
        .collect();
    let hosts = if hosts.is_empty() { "*".to_owned() } else { first_three(&hosts) };
    let ports = if items(o, "spec.tls").is_empty() { "80" } else { "80, 443" };
    vec![
        name(o),
        or_none(text(o, "spec.ingressClassName")),
        hosts.into(),
        balancer(o).join(",").into(),
        ports.into(),
        object_age(o),
    ]
}
