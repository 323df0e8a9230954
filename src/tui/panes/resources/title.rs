//! The title, and what is said in place of rows that are not there.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::Resources;
use crate::base::text::sanitize;
use crate::rows::Phase;
use crate::tui::object::{Namespaces, are_several};
use crate::tui::pane::Look;
use crate::tui::panes::words;

impl Resources {
    /// `pods(shop)[12/1,204] /filter`, and in words what is not as it should be.
    pub(super) fn title_line(&self, look: &Look<'_>) -> Line<'static> {
        let theme = look.theme;
        let scope = match (self.namespaced, &self.query.namespaces, &self.query.origin) {
            (_, _, Some(origin)) => origin.clone(),
            (true, namespaces, None) => namespaces.label().to_owned(),
            (false, ..) => String::new(),
        };
        let mut spans = words::head(self.plural(), &scope, &self.grid, theme);
        let filter = match &self.query.labels {
            Some(labels) if self.filter.is_empty() => format!("-l {labels}"),
            _ => self.filter.clone(),
        };
        if !filter.is_empty() {
            spans.push(Span::styled(format!(" /{}", sanitize(&filter)), theme.title_filter));
        }
        if self.grid.faults_only() {
            spans.push(Span::styled(" faults only", theme.title_filter));
        }
        if are_several(&self.query.clusters) {
            let names = self.query.clusters.join(",");
            let named =
                if names.len() <= 24 { names } else { format!("{} clusters", self.sources.count().0) };
            spans.push(Span::styled(format!(" @{}", sanitize(&named)), theme.title_highlight));
        }
        for (words, bad) in self.states(look) {
            let style = if bad { theme.warning } else { theme.dim };
            spans.push(Span::styled(format!(" {}", sanitize(&words)), style));
        }
        if self.grid.is_working(look.now) {
            spans.push(Span::styled(" sorting…", theme.dim));
        }
        spans.push(Span::raw(" "));
        Line::from(spans)
    }

    /// What is not live, in words; whether it is bad.
    fn states(&self, look: &Look<'_>) -> Vec<(String, bool)> {
        let error = self.error.iter().map(|error| (error.message.clone(), true));
        if self.is_set() {
            // Each has a line of its own below the rows.
            let notes = self.grid.table().notes().iter().map(|(of, note)| (format!("{of}: {note}"), true));
            return self.sources.told().flatten().into_iter().chain(notes).chain(error).collect();
        }
        let any = self.grid.total() > 0;
        let phases = self.grid.table().sources().values();
        let states = phases.filter_map(|phase| words::state(phase, any, look.now.as_second()));
        let notes = self.grid.table().notes().values().map(|note| (note.clone(), true));
        let failed = self.first_failure().is_some();
        states.chain(notes).chain(error.filter(|_| !failed)).collect()
    }

    /// Why there are no rows, and which key changes that.
    pub(super) fn render_empty(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let (what, next) = self.why_empty();
        words::instead(&what, &next, look, area, buf);
    }

    fn why_empty(&self) -> (String, String) {
        let plural = self.plural();
        let total = self.grid.total();
        if total > 0 {
            let rows = thousands(total);
            if self.grid.faults_only() && self.grid.filter().is_empty() {
                return (
                    format!("nothing is wrong with any of {rows} {plural}"),
                    "Ctrl-z shows them all".to_owned(),
                );
            }
            return (
                format!("none of {rows} {plural} matches /{}", self.grid.filter()),
                "Esc clears the filter".to_owned(),
            );
        }
        // Where some of several are live the others' lines say why they are not.
        let some = self.is_set() && self.sources.any_live();
        if let Some(error) = self.first_failure().or(self.error.as_ref()).filter(|_| !some) {
            let next = error.next_step().to_owned();
            return (error.message.clone(), format!("{next} Ctrl-r tries again."));
        }
        let awaited = self.grid.table().sources().values().find_map(words::awaited);
        if let Some(awaited) = awaited.filter(|_| !some) {
            return awaited;
        }
        if self.grid.table().sources().is_empty()
            && self.watching.is_some()
            && self.grid.table().columns().is_empty()
        {
            return (format!("asking for {plural}…"), "rows appear as they come".to_owned());
        }
        if let Some(labels) = self.labels() {
            let next = if self.typed_labels.is_some() { "Esc clears the selector" } else { "Esc goes back" };
            return (format!("there are no {plural} with the labels {labels}"), next.to_owned());
        }
        if self.query.owner.is_some() {
            let owner = self.query.origin.clone().or_else(|| self.query.owner.clone()).unwrap_or_default();
            return (format!("{owner} has no {plural} now"), "Esc goes back".to_owned());
        }
        match &self.query.namespaces {
            Namespaces::One(namespace) if self.namespaced => (
                format!("there are no {plural} in the namespace {namespace}"),
                "0 shows all namespaces".to_owned(),
            ),
            Namespaces::Several(set) if self.namespaced => (
                format!("there are no {plural} in the namespaces {set}"),
                "0 shows all namespaces".to_owned(),
            ),
            _ => (format!("there are no {plural}"), "they appear here as soon as there are some".to_owned()),
        }
    }

    fn first_failure(&self) -> Option<&crate::base::Error> {
        self.grid.table().sources().values().find_map(|phase| match phase {
            Phase::Failed { error } => Some(error),
            _ => None,
        })
    }
}

/// `12,345`.
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_grouped() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(super::thousands(n), text);
        }
    }
}
