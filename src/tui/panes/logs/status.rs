//! What the pane says about itself: its title, its switches, and why nothing is shown.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::stream::{State, Stream};
use super::view::LogView;
use crate::base::SafeText;
use crate::tui::pane::Look;

pub fn title(view: &LogView, stream: &Stream, look: &Look<'_>) -> Line<'static> {
    let theme = look.theme;
    let mut spans = vec![
        Span::styled("logs(", theme.title),
        Span::styled(SafeText::new(&stream.subject()).to_string(), theme.title_highlight),
        Span::styled(")", theme.title),
    ];
    let (shown, all) = (view.shown(), view.store.len());
    let count = if shown == all {
        thousands(all as u64)
    } else {
        format!("{}/{}", thousands(shown as u64), thousands(all as u64))
    };
    spans.push(Span::styled(format!("[{count}]"), theme.title_counter));
    if let Some(filter) = view.filter() {
        spans.push(Span::styled(format!(" /{}", SafeText::new(&filter.typed)), theme.title_filter));
        if let Some((at, all)) = view.match_place().filter(|_| view.is_among_all()) {
            spans.push(Span::styled(
                format!(" match {} of {}", thousands(at as u64), thousands(all as u64)),
                theme.title_counter,
            ));
        }
    }
    let mut say = |text: String, style: Style| spans.push(Span::styled(format!(" {text}"), style));
    if view.is_searching() {
        say("searching".to_owned(), theme.dim);
    }
    if stream.target.previous {
        say("previous".to_owned(), theme.warning);
    }
    if view.store.lost() > 0 {
        say(format!("{} not delivered", thousands(view.store.lost())), theme.error);
    }
    if view.store.let_go() > 0 {
        say(format!("{} oldest let go", thousands(view.store.let_go())), theme.warning);
    }
    match &stream.state {
        State::Opening => say("opening".to_owned(), theme.dim),
        State::Open => {}
        State::Ended => say("ended".to_owned(), theme.dim),
        State::Failed(error) => say(SafeText::new(&error.message).to_string(), theme.error),
    }
    Line::from(spans)
}

/// The switches, as k9s shows them.
pub fn indicator(view: &LogView, stream: &Stream, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
    let theme = look.theme;
    let o = &view.options;
    let mut x = area.x;
    let mut put = |text: &str, style: Style| {
        let room = usize::from(area.right().saturating_sub(x));
        x = buf.set_stringn(x, area.y, text, room, style).0;
    };
    put(&format!(" {} ", stream.range.label()), theme.indicator);
    for (label, on) in [
        ("Autoscroll", o.follow),
        ("Time", o.times),
        ("Wrap", o.wrap),
        ("JSON", o.readable),
        ("AllContainers", stream.all_containers),
        ("Lock", o.lock),
    ] {
        put(" ", theme.indicator);
        put(label, theme.indicator);
        put(":", theme.indicator);
        let (word, style) = if on { ("On", theme.indicator_on) } else { ("Off", theme.indicator_off) };
        put(word, style);
    }
}

/// Why nothing is shown, and the key that changes it.
pub fn nothing(view: &LogView, stream: &Stream) -> String {
    match &stream.state {
        State::Failed(error) => {
            let back = if stream.target.previous { " p goes back to the running one's." } else { "" };
            format!("{}. {}{back}", error.message, error.next_step())
        }
        _ if view.is_searching() => "searching…".to_owned(),
        _ if view.filter().is_some() && !view.store.is_empty() => {
            format!("none of {} lines matches the filter: Esc removes it", thousands(view.store.len() as u64))
        }
        State::Opening => "waiting for the first lines…".to_owned(),
        State::Open => "no lines yet: the stream is open".to_owned(),
        State::Ended => {
            "the log is empty: p shows the previous container's, 1 reads from the start".to_owned()
        }
    }
}

/// `1204` as `1,204`.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}
