//! What the pane says about itself: its title, its switches, and why nothing is shown.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::draw;
use super::stream::{State, Stream};
use super::view::LogView;
use crate::base::SafeText;
use crate::rows::Level;
use crate::tui::pane::Look;

/// What is shown of the lines, as the title says it.
pub struct Shown {
    /// How many of a hundred parts of a search under way are done.
    pub searched: Option<u64>,
    pub least: Option<Level>,
}

pub fn title(view: &LogView, stream: &Stream, state: &Shown, look: &Look<'_>) -> Line<'static> {
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
    if let Some(filter) = view.filter().filter(|f| !f.typed.is_empty()) {
        spans.push(Span::styled(format!(" /{}", SafeText::new(&filter.typed)), theme.title_filter));
        if let Some((at, all)) = view.match_place().filter(|_| view.is_among_all()) {
            spans.push(Span::styled(
                format!(" match {} of {}", thousands(at as u64), thousands(all as u64)),
                theme.title_counter,
            ));
        }
    }
    let mut say = |text: String, style: Style| spans.push(Span::styled(format!(" {text}"), style));
    match state.least {
        Some(Level::Error) => say("errors".to_owned(), theme.title_filter),
        Some(_) => say("warnings and errors".to_owned(), theme.title_filter),
        None => {}
    }
    if view.folds() {
        say("folded".to_owned(), theme.title_filter);
    }
    if view.is_searching() {
        say(format!("searching {} %", state.searched.unwrap_or_default()), theme.dim);
    }
    if stream.target.previous {
        say("previous".to_owned(), theme.warning);
    }
    if view.store.lost() > 0 {
        say(format!("{} not delivered", thousands(view.store.lost())), theme.error);
    }
    if view.store.let_go() > 0 {
        say(format!("{} older lines dropped", thousands(view.store.let_go())), theme.warning);
        if let Some(begins) = view.store.begins() {
            say(format!("from {}", draw::clock(view, begins)), theme.dim);
        }
    }
    if let Some(why) = view.store.disk_failed() {
        say(format!("not kept on disk: {}", SafeText::new(&why)), theme.warning);
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
    // Where what is held begins, and how much of it is on disk.
    let mut held =
        view.store.begins().map_or_else(String::new, |t| format!("  from {}", draw::clock(view, t)));
    if view.store.on_disk() > 0 {
        held.push_str(&format!(" · {} MiB on disk", (view.store.on_disk() >> 20).max(1)));
    }
    // Half of it would say something else.
    if held.chars().count() <= usize::from(area.right().saturating_sub(x)) {
        buf.set_stringn(x, area.y, &held, usize::from(area.right() - x), theme.indicator);
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
