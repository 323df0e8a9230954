//! Services with the addresses behind them, and Ingresses.

use jiff::Timestamp;
use serde_json::Value;

use super::Extras;
use super::part::{self, items, plain, text, text_or};
use super::sheet::Sheet;

pub fn service(sheet: &mut Sheet, s: &Value, extras: &Extras, now: Timestamp) {
    part::head(sheet, s, now);
    sheet.field("Selector", part::pairs(s, "/spec/selector", "=").join(","));
    sheet.field("Type", text(s, "/spec/type"));
    sheet.some("External Name", text(s, "/spec/externalName"));
    sheet.some("IP Family Policy", text(s, "/spec/ipFamilyPolicy"));
    sheet.list("Cluster IPs", items(s, "/spec/clusterIPs").iter().map(plain).collect());
    sheet.some_list("External IPs", items(s, "/spec/externalIPs").iter().map(plain).collect());
    let ingress =
        items(s, "/status/loadBalancer/ingress").iter().map(|i| text_or(i, "/ip", &text(i, "/hostname")));
    sheet.some_list("LoadBalancer Ingress", ingress.collect());
    for port in items(s, "/spec/ports") {
        let name = text_or(port, "/name", "<unset>");
        let node = text(port, "/nodePort");
        let node = if node.is_empty() { node } else { format!(", node port {node}") };
        let target = text_or(port, "/targetPort", &text(port, "/port"));
        sheet.field(
            "Port",
            format!("{name} {}/{} → {target}{node}", text(port, "/port"), text_or(port, "/protocol", "TCP")),
        );
        sheet.field("Endpoints", endpoints(extras, port));
    }
    sheet.some("Session Affinity", text(s, "/spec/sessionAffinity"));
    sheet.some("External Traffic", text(s, "/spec/externalTrafficPolicy"));
    sheet.some("Internal Traffic", text(s, "/spec/internalTrafficPolicy"));
    let not_ready: Vec<String> =
        addresses(extras).filter(|(_, ready, _)| !ready).map(|(a, _, of)| format!("{a} ({of})")).collect();
    sheet.some_list("Not Ready", not_ready);
}

/// Address, whether it is ready, and what it belongs to, of every endpoint.
pub fn addresses(extras: &Extras) -> impl Iterator<Item = (String, bool, String)> {
    extras.endpoint_slices.iter().flat_map(|slice| items(slice, "/endpoints")).flat_map(|e| {
        // Absent means ready: discovery.k8s.io/v1 EndpointConditions.
        let ready = e.pointer("/conditions/ready") != Some(&Value::Bool(false));
        let of = text(e, "/targetRef/name");
        items(e, "/addresses").iter().map(move |a| (plain(a), ready, of.clone()))
    })
}

fn endpoints(extras: &Extras, port: &Value) -> String {
    const SHOWN: usize = 6;
    let name = text(port, "/name");
    let mut found = Vec::new();
    for slice in &extras.endpoint_slices {
        let target = items(slice, "/ports")
            .iter()
            .find(|p| text(p, "/name") == name)
            .map(|p| text(p, "/port"))
            .unwrap_or_default();
        for e in items(slice, "/endpoints") {
            if e.pointer("/conditions/ready") != Some(&Value::Bool(false)) {
                found.extend(items(e, "/addresses").iter().map(|a| format!("{}:{target}", plain(a))));
            }
        }
    }
    found.sort();
    let total = found.len();
    found.truncate(SHOWN);
    let more = if total > SHOWN { format!(" and {} more", total - SHOWN) } else { String::new() };
    format!("{}{more}", found.join(", "))
}

pub fn ingress(sheet: &mut Sheet, i: &Value, now: Timestamp) {
    part::head(sheet, i, now);
    sheet.field("Ingress Class", text(i, "/spec/ingressClassName"));
    let addresses =
        items(i, "/status/loadBalancer/ingress").iter().map(|a| text_or(a, "/ip", &text(a, "/hostname")));
    sheet.list("Address", addresses.collect());
    if let Some(backend) = i.pointer("/spec/defaultBackend") {
        sheet.field("Default Backend", self::backend(backend));
    }
    for tls in items(i, "/spec/tls") {
        let hosts = items(tls, "/hosts").iter().map(plain).collect::<Vec<_>>().join(", ");
        sheet.field(
            "TLS",
            format!(
                "secret {} for {}",
                text(tls, "/secretName"),
                if hosts.is_empty() { "any host" } else { &hosts }
            ),
        );
    }
    let mut rows = Vec::new();
    for rule in items(i, "/spec/rules") {
        for path in items(rule, "/http/paths") {
            rows.push(vec![
                text_or(rule, "/host", "*"),
                text_or(path, "/path", "/"),
                text(path, "/pathType"),
                self::backend(path.get("backend").unwrap_or(&Value::Null)),
            ]);
        }
    }
    sheet.section("Rules", |s| s.table(&["Host", "Path", "Path Type", "Backend"], rows));
}

fn backend(b: &Value) -> String {
    if let Some(s) = b.get("service") {
        return format!("{}:{}", text(s, "/name"), text_or(s, "/port/name", &text(s, "/port/number")));
    }
    format!("{}/{}", text(b, "/resource/kind"), text(b, "/resource/name"))
}
