//! The header: where we are, how the clusters are, what waits, what time it is.

use compact_str::CompactString;
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Frame, cut, put, width};
use crate::base::SafeText;
use crate::tui::shared::{ClusterInfo, Shared};

/// More letters than this of clusters' names are a number.
const NAMED: usize = 32;
/// More letters than this of whom we act as are cut.
const WHOM: u16 = 24;
/// So much of the place is shown before the clock is.
const LEAST: u16 = 16;

pub fn render(frame: &Frame<'_>, area: Rect, buf: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    if area.height > 1 {
        tall(frame, area, buf);
    } else {
        line(frame, area, buf);
    }
}

fn line(frame: &Frame<'_>, area: Rect, buf: &mut Buffer) {
    let (theme, shared) = (frame.look.theme, frame.look.shared);
    // On a narrow line the place and what holds of it go first, then what waits, then the clock.
    let mut left = vec![(place(frame), theme.header_value)];
    left.extend(shared.read_only.then(|| ("[RO]".to_owned(), theme.warning)));
    left.extend(acting(shared).map(|whom| (format!("[{}]", cut(&whom, WHOM)), theme.warning)));
    let wanted: u16 = left.iter().map(|(text, _)| width(text) + 2).sum();
    let fits = |right: &str| wanted.min(LEAST) + 6 + width(right) <= area.width;
    let (waits, clock) = (waits(shared), clock(frame));
    let (waits, clock) = if fits(&format!("{waits}{clock}")) {
        (waits, clock)
    } else if fits(waits.trim_end()) {
        (waits.trim_end().to_owned(), String::new())
    } else {
        (String::new(), String::new())
    };
    let right_at = area.width.saturating_sub(width(&waits) + width(&clock) + 1);
    let mut x = put(buf, area, 1, 0, "qd", theme.logo) + 2;
    for (text, style) in left {
        let text = cut(&text, right_at.saturating_sub(x + 1));
        x = put(buf, area, x, 0, &text, style) + 2;
    }
    let facts = facts(frame);
    // The middle goes first when the line is narrow: in its centre if it fits, else cut, else not at all.
    let room = right_at.saturating_sub(x + 1);
    if room >= 12 && !facts.is_empty() {
        let facts = cut(&facts, room);
        let at = ((area.width.saturating_sub(width(&facts))) / 2).clamp(x, x + room - width(&facts));
        put(buf, area, at, 0, &facts, theme.header_label);
    }
    let style = if shared.approvals.is_empty() { theme.header_label } else { theme.warning };
    let x = put(buf, area, right_at, 0, &waits, style);
    put(buf, area, x, 0, &clock, theme.header_label);
}

/// `as jane`: whom the clusters in view take us for, if not for the kubeconfig's users.
fn acting(shared: &Shared) -> Option<String> {
    let shown = |c: &&ClusterInfo| match shared.clusters.as_slice() {
        [] => c.current,
        clusters => clusters.contains(&c.name),
    };
    let mut whom: Vec<String> =
        shared.known_clusters.iter().filter(shown).map(|c| c.acting.to_string()).collect();
    whom.sort();
    whom.dedup();
    whom.retain(|name| !name.is_empty());
    (!whom.is_empty()).then(|| format!("as {}", SafeText::new(&whom.join(" or "))))
}

/// The clusters and namespaces in view: a pane may show others than the session's, where an agent points, say.
fn scope<'a>(frame: &Frame<'a>) -> (&'a [CompactString], &'a str) {
    let shared = frame.look.shared;
    frame.elsewhere.unwrap_or((&shared.clusters, shared.namespaces.label()))
}

/// `eu-1 ▸ shop`, or `3 clusters ▸ all`.
fn place(frame: &Frame<'_>) -> String {
    let shared = frame.look.shared;
    let (clusters, namespaces) = scope(frame);
    let cluster = match clusters {
        [] => match shared.known_clusters.iter().find(|c| c.current) {
            Some(current) => SafeText::new(&current.name).to_string(),
            None => "no cluster".to_owned(),
        },
        [one] => SafeText::new(one).to_string(),
        several => match several.join(", ") {
            names if names.len() <= NAMED => SafeText::new(&names).to_string(),
            _ => format!("{} clusters", several.len()),
        },
    };
    format!("{cluster} ▸ {}", SafeText::new(namespaces)).trim_end_matches(" ▸ ").to_owned()
}

/// The cluster that the header tells of: the one in view, else the current one.
fn in_view<'a>(frame: &Frame<'a>) -> Option<&'a ClusterInfo> {
    let shared = frame.look.shared;
    match scope(frame).0 {
        [one] => shared.known_clusters.iter().find(|c| c.name == *one),
        // Several have no version and no latency in common.
        [_, _, ..] => None,
        [] => shared.known_clusters.iter().find(|c| c.current),
    }
}

fn facts(frame: &Frame<'_>) -> String {
    let (shared, mut facts) = (frame.look.shared, Vec::new());
    let cluster = in_view(frame);
    if let Some(version) = cluster.map(|c| &c.version).filter(|v| !v.is_empty()) {
        facts.push(format!("k8s {}", SafeText::new(version.trim_start_matches('v'))));
    }
    let down = shared.known_clusters.iter().filter(|c| c.up == Some(false)).count();
    match (shared.known_clusters.len(), down) {
        (0 | 1, 0) => {}
        (1, _) => facts.push("1 cluster, down".to_owned()),
        (all, 0) => facts.push(format!("{all} clusters")),
        (all, down) => facts.push(format!("{all} clusters, {down} down")),
    }
    if let Some(ms) = cluster.and_then(|c| c.latency_ms) {
        facts.push(format!("api {ms} ms"));
    }
    facts.join(" · ")
}

fn waits(shared: &Shared) -> String {
    match shared.approvals.len() {
        0 => String::new(),
        1 => "⚑ 1 waits  ".to_owned(),
        n => format!("⚑ {n} wait  "),
    }
}

fn clock(frame: &Frame<'_>) -> String {
    frame.look.now.to_zoned(TimeZone::system()).strftime("%H:%M").to_string()
}

fn right(frame: &Frame<'_>) -> String {
    waits(frame.look.shared) + &clock(frame)
}

/// `ana`, `ana as jane [RO]`.
fn you(shared: &Shared) -> String {
    let whom = acting(shared).map(|whom| format!(" {whom}")).unwrap_or_default();
    format!("{}{whom}{}", shared.actor.name, if shared.read_only { " [RO]" } else { "" })
}

/// k9s's header: facts on the left, keys in columns beside them.
fn tall(frame: &Frame<'_>, area: Rect, buf: &mut Buffer) {
    let (theme, shared) = (frame.look.theme, frame.look.shared);
    let cluster = in_view(frame);
    let (clusters, namespaces) = scope(frame);
    let context = match clusters {
        [] => cluster.map(|c| c.name.to_string()).unwrap_or_default(),
        clusters => clusters.join(", "),
    };
    let up = match cluster.and_then(|c| c.up) {
        Some(true) => "up",
        Some(false) => "down",
        None => "–",
    };
    let latency = cluster.and_then(|c| c.latency_ms).map_or("–".to_owned(), |ms| format!("{ms} ms"));
    let version = cluster.map(|c| c.version.to_string()).filter(|v| !v.is_empty()).unwrap_or("–".to_owned());
    let facts = [
        ("Context", context),
        ("Namespace", namespaces.to_owned()),
        ("K8s", format!("{version}, {up}")),
        ("API", latency),
        ("Clusters", facts(frame)),
        ("You", you(shared)),
    ];
    let left = (area.width / 2).min(48);
    for (row, (label, value)) in (0..area.height).zip(&facts) {
        put(buf, area, 1, row, &format!("{label}:"), theme.header_label);
        let value = SafeText::new(value);
        put(buf, area, 12, row, &cut(&value, left.saturating_sub(13)), theme.header_value);
    }
    let right = right(frame);
    let right_at = area.width.saturating_sub(width(&right) + 1);
    put(buf, area, right_at, 0, &right, theme.header_label);
    let mut column = left;
    let mut bindings = frame
        .keymap
        .bindings(frame.modes)
        .map(|(_, b)| b)
        .filter(|b| b.bar && !(shared.read_only && b.action.changes()))
        .peekable();
    while bindings.peek().is_some() && column + 18 < right_at {
        for row in 0..area.height {
            let Some(binding) = bindings.next() else { break };
            let label = format!("<{}>", binding.keys.first().map(|k| k.label()).unwrap_or_default());
            put(buf, area, column, row, &label, theme.menu_key);
            put(buf, area, column + 8, row, &cut(&binding.desc, 14), theme.menu);
        }
        column += 24;
    }
}
