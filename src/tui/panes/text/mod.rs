//! The text pane: YAML and descriptions of objects, and any other long text, to read and search.

pub(super) mod colour;
mod document;
mod draw;
pub(in crate::tui::panes) mod field;
mod place;

use std::io::Write as _;

use compact_str::CompactString;
use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use serde_json::{Value, json};

use self::document::Document;
use self::draw::Page;
use super::save::save;
use crate::base::{Error, Result, SafeText};
use crate::gate::{Frame, Reply, Request};
use crate::rows::RowKey;
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::object::{ObjectRef, Route, TextKind};
use crate::tui::pane::{Handled, Look, Pane, PaneFocus};
use crate::tui::widgets::prose::{Ink, Prose};
use crate::tui::widgets::select::Selection;

/// Terminals take about this much through OSC 52.
const COPY_BYTES: usize = 72 << 10;

/// Lines that the wheel moves.
const WHEEL: isize = 3;

/// Where the text comes from.
#[derive(Debug, Clone, PartialEq)]
enum Source {
    Object(TextKind, ObjectRef),
    /// A text that was handed over: a result, a row's details.
    Fixed {
        name: CompactString,
        title: String,
    },
}

pub struct TextPane {
    source: Source,
    document: Document,
    loaded: bool,
    error: Option<Error>,
    get: Option<Ticket>,
    /// Something changed while a get was under way.
    again: bool,
    watch: Option<Ticket>,
    /// The watch has told what there is; from now on it tells of changes.
    watching: bool,
    saving: Option<Ticket>,
    managed_fields: bool,
    decode: bool,
    wrap: bool,
    typed: String,
    selection: Option<Selection>,
    size: (usize, usize),
    /// The field to put the cursor on, once it is read.
    sought: Option<CompactString>,
}

impl TextPane {
    pub fn object(kind: TextKind, object: ObjectRef) -> Self {
        // What a difference says of itself is prose.
        let wrap = matches!(kind, TextKind::Diff | TextKind::OutOfSync);
        Self { wrap, ..Self::with(Source::Object(kind, object), Document::default(), false) }
    }

    /// The manifest of a Secret with its values readable.
    pub fn decoded(object: ObjectRef) -> Self {
        Self { decode: true, ..Self::object(TextKind::Yaml, object) }
    }

    /// The manifest, with the cursor on a field's line.
    pub fn at_field(object: ObjectRef, field: CompactString) -> Self {
        Self { sought: Some(field), ..Self::object(TextKind::Yaml, object) }
    }

    /// A pane on a text that is at hand.
    pub fn fixed(name: &str, title: impl Into<String>, text: String) -> Self {
        Self::with(Source::Fixed { name: name.into(), title: title.into() }, Document::new(text), true)
    }

    /// A pane on a value, written as YAML.
    pub fn value(name: &str, title: impl Into<String>, value: &Value) -> Self {
        Self::fixed(name, title, as_text(value))
    }

    fn with(source: Source, document: Document, loaded: bool) -> Self {
        Self {
            source,
            document,
            loaded,
            error: None,
            get: None,
            again: false,
            watch: None,
            watching: false,
            saving: None,
            managed_fields: false,
            decode: false,
            wrap: false,
            typed: String::new(),
            selection: None,
            size: (80, 24),
            sought: None,
        }
    }

    fn fetch(&mut self, cx: &mut Cx<'_>) {
        let Source::Object(kind, object) = &self.source else { return };
        if self.get.is_some() {
            self.again = true;
            return;
        }
        let (operation, mut arguments) = kind.question(object);
        if *kind == TextKind::Yaml {
            for (name, set) in [("managed_fields", self.managed_fields), ("reveal", self.decode)] {
                if set {
                    arguments[name] = json!(true);
                }
            }
        }
        self.get = Some(cx.call(Request::new(operation, arguments)));
    }

    /// Follows the object: a watch of its one row says when it changed, and only then is it read again.
    fn toggle_following(&mut self, cx: &mut Cx<'_>) {
        if let Some(ticket) = self.watch.take() {
            cx.cancel(ticket);
            cx.flash(Flash::info("no longer kept up to date"));
            return;
        }
        let Source::Object(_, object) = &self.source else { return };
        let mut arguments = object.arguments();
        if let Some(map) = arguments.as_object_mut() {
            map.remove("name");
            map.insert("fields".to_owned(), json!(format!("metadata.name={}", object.name)));
        }
        self.watching = false;
        self.watch = Some(cx.watch(Request::new("resource_list", arguments)));
        self.fetch(cx);
    }

    fn take(&mut self, result: Result<Reply>) {
        self.error = None;
        match result {
            Ok(Reply::Done { output, .. }) => {
                self.document.set(as_text(&output));
                self.loaded = true;
                if let Some(line) =
                    self.sought.take().and_then(|field| field::line_of(&self.document, &field))
                {
                    self.document.reveal(line);
                }
            }
            Ok(Reply::Held(held)) => {
                self.error = Some(Error::new(crate::base::Code::PermissionDenied, held.reason));
            }
            Err(error) => self.error = Some(error),
        }
    }

    fn save(&mut self, cx: &mut Cx<'_>) {
        let (text, name, now) = (self.document.text().to_owned(), self.subject(), cx.now);
        let ending = if matches!(self.source, Source::Object(TextKind::Yaml, _)) { "yaml" } else { "txt" };
        self.saving = Some(cx.job(move || save(&name, ending, now, |out| out.write_all(text.as_bytes()))));
    }

    fn copy(&self, cx: &mut Cx<'_>) {
        let text: String = SafeText::lines(self.document.text()).map(|l| format!("{l}\n")).collect();
        if text.len() > COPY_BYTES {
            cx.flash(Flash::warning("too long for the clipboard").next("Ctrl-s saves it to a file."));
        } else {
            cx.copy(text);
            cx.flash(Flash::info("copied"));
        }
    }

    fn subject(&self) -> String {
        match &self.source {
            Source::Object(_, o) if o.namespace.is_empty() => format!("{}/{}", o.plural(), o.name),
            Source::Object(_, o) => format!("{}/{}/{}", o.namespace, o.plural(), o.name),
            Source::Fixed { title, .. } => title.clone(),
        }
    }

    fn is_yaml_of_object(&self) -> bool {
        matches!(self.source, Source::Object(TextKind::Yaml, _))
    }

    fn page(&self) -> Page<'_> {
        let (document, diff) = (&self.document, self.name() == "diff");
        Page { document, diff, wrap: self.wrap, selection: self.selection.as_ref(), pointed: Vec::new() }
    }

    /// The lines of the fields that others point at.
    fn pointed(&self, look: &Look<'_>) -> Vec<usize> {
        let Source::Object(TextKind::Yaml, object) = &self.source else { return Vec::new() };
        let key = RowKey::new(&*object.cluster, object.namespace.clone(), object.name.clone());
        let pointers = look.shared.pointers_at(&object.kind, &key);
        pointers.filter_map(|p| field::line_of(&self.document, p.path()?)).collect()
    }

    fn toggle(&mut self, name: &str, cx: &mut Cx<'_>) -> Handled {
        match name {
            "wrap" => {
                self.wrap = !self.wrap;
                self.document.left = 0;
                self.document.top.1 = 0;
            }
            "fold" => self.document.fold(),
            "next_match" | "previous_match" if self.document.next_match(name == "next_match") => {}
            "next_match" | "previous_match" => cx.flash(Flash::info("nothing is searched for: / begins")),
            "copy" => self.copy(cx),
            "save" => self.save(cx),
            "refresh" => self.fetch(cx),
            "auto_refresh" => self.toggle_following(cx),
            "managed_fields" if self.is_yaml_of_object() => {
                self.managed_fields = !self.managed_fields;
                self.fetch(cx);
            }
            "decode" if self.is_yaml_of_object() => {
                self.decode = !self.decode;
                self.fetch(cx);
            }
            "back" if self.selection.take().is_some_and(|s| !s.is_empty()) => {}
            "back" if !self.typed.is_empty() => {
                self.typed.clear();
                let _ = self.document.search("");
            }
            _ => return Handled::No,
        }
        Handled::Yes
    }
}

impl Pane for TextPane {
    fn name(&self) -> CompactString {
        match &self.source {
            Source::Object(kind, _) => kind.name().into(),
            Source::Fixed { name, .. } => name.clone(),
        }
    }

    fn modes(&self) -> Vec<CompactString> {
        match &self.source {
            Source::Object(..) => vec![self.name(), "text".into()],
            Source::Fixed { .. } => vec!["text".into()],
        }
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        let theme = look.theme;
        let mut spans = vec![
            Span::styled(format!("{}(", self.name()), theme.title),
            Span::styled(SafeText::new(&self.subject()).to_string(), theme.title_highlight),
            Span::styled(")", theme.title),
        ];
        if let Some((at, all)) = self.document.matches() {
            let typed = SafeText::new(&self.typed);
            spans.push(Span::styled(format!(" /{typed}"), theme.title_filter));
            spans.push(Span::styled(format!("[{at}/{all}]"), theme.title_counter));
        }
        let mut say = |text: &str, style| spans.push(Span::styled(format!(" {text}"), style));
        if self.get.is_some() && !self.loaded {
            say("reading", theme.dim);
        }
        if self.watch.is_some() {
            say("kept up to date", theme.success);
        }
        if self.decode {
            say("decoded", theme.warning);
        }
        if let Some(error) = self.error.as_ref().filter(|_| self.loaded) {
            say(&SafeText::new(&error.message), theme.error);
        }
        Line::from(spans)
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        self.fetch(cx);
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        let page = isize::try_from(self.size.1.max(2) - 1).unwrap_or(1);
        match action.name {
            "up" => self.move_by(-1),
            "down" => self.move_by(1),
            "page_up" => self.move_by(-page),
            "page_down" => self.move_by(page),
            "half_up" => self.move_by(-page / 2),
            "half_down" => self.move_by(page / 2),
            "top" => self.document.home(),
            "bottom" => self.document.end(),
            "left" if !self.wrap => self.document.left = self.document.left.saturating_sub(8),
            "right" if !self.wrap => self.document.left += 8,
            "edit" => match &self.source {
                // What is shown is what is edited.
                Source::Object(_, object) if self.decode && object.is_secret() => {
                    cx.go(Route::EditValues(object.clone()));
                }
                Source::Object(_, object) => cx.go(Route::Edit(object.clone())),
                _ => return Handled::No,
            },
            other => return self.toggle(other, cx),
        }
        Handled::Yes
    }

    fn receive(&mut self, message: Message, cx: &mut Cx<'_>) {
        match message {
            Message::Reply { ticket, result } if self.get == Some(ticket) => {
                self.get = None;
                self.take(result);
                if std::mem::take(&mut self.again) {
                    self.fetch(cx);
                }
            }
            Message::Frame { ticket, frame: Frame::Table(delta) } if self.watch == Some(ticket) => {
                let changed = !delta.upserts.is_empty() || !delta.removed.is_empty();
                // The first rows are what is already on the screen.
                if changed && std::mem::replace(&mut self.watching, true) {
                    self.fetch(cx);
                }
            }
            Message::Ended { ticket, error } if self.watch == Some(ticket) => {
                self.watch = None;
                if let Some(error) = error {
                    cx.error(&error);
                }
            }
            Message::Job { ticket, value } if self.saving == Some(ticket) => {
                self.saving = None;
                super::save::saved_text(value, cx);
            }
            _ => {}
        }
    }

    fn mouse(&mut self, event: MouseEvent, area: Rect, cx: &mut Cx<'_>) -> Handled {
        match event.kind {
            MouseEventKind::ScrollUp => self.scroll(-WHEEL),
            MouseEventKind::ScrollDown => self.scroll(WHEEL),
            MouseEventKind::ScrollLeft if !self.wrap => {
                self.document.left = self.document.left.saturating_sub(4)
            }
            MouseEventKind::ScrollRight if !self.wrap => self.document.left += 4,
            MouseEventKind::Down(MouseButton::Left) => {
                let Some(spot) = self.page().spot(area, event.column, event.row) else {
                    return Handled::No;
                };
                self.document.cursor = usize::try_from(spot.line).unwrap_or(usize::MAX);
                self.selection = Some(Selection::new(spot));
            }
            MouseEventKind::Drag(MouseButton::Left) => {
                let spot = self.page().spot(area, event.column, event.row);
                if let (Some(spot), Some(selection)) = (spot, &mut self.selection) {
                    self.document.cursor = usize::try_from(spot.line).unwrap_or(usize::MAX);
                    selection.drag(spot);
                }
            }
            MouseEventKind::Up(MouseButton::Left) => {
                let Some(selection) = self.selection.as_ref().filter(|s| !s.is_empty()) else {
                    return Handled::Yes;
                };
                draw::copy(self.page().selected(selection), cx);
            }
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn filter_changed(&mut self, text: &str, _done: bool, _cx: &mut Cx<'_>) -> Result<(), String> {
        self.document.search(text)?;
        text.trim().clone_into(&mut self.typed);
        Ok(())
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.typed)
    }

    fn layout(&mut self, area: Rect, _now: Timestamp) {
        self.size = (usize::from(area.width).max(1), usize::from(area.height));
        self.settle();
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let theme = look.theme;
        if !self.loaded {
            let (text, style) = match &self.error {
                Some(error) => (error.told(), theme.error),
                None => ("reading…".to_owned(), theme.dim),
            };
            let mut p = Prose::new(area.width.saturating_sub(2));
            p.words((Ink::Text, ""), Ink::Text, &text);
            for (y, row) in (area.y..area.bottom()).zip(p.done()) {
                row.compose(theme).draw(buf, area.x + 1, y, area.width.saturating_sub(1), 0);
                buf.set_style(Rect { y, height: 1, ..area }, style);
            }
            return;
        }
        Page { pointed: self.pointed(look), ..self.page() }.draw(look, area, buf);
    }

    fn focus(&self) -> PaneFocus {
        let Source::Object(_, object) = &self.source else { return PaneFocus::default() };
        let mut selected = object.arguments();
        // What is decoded is for this screen alone: the others learn where one looks, not what it says.
        let line = if self.decode { "" } else { self.document.line(self.document.cursor).trim() };
        selected["field"] = json!(line);
        PaneFocus {
            cluster: Some(object.cluster.to_string()),
            namespace: Some(object.namespace.to_string()),
            kind: Some(object.kind.to_string()),
            filter: (!self.typed.is_empty() && !self.decode).then(|| self.typed.clone()),
            selected: Some(selected),
            private: self.decode,
            ..PaneFocus::default()
        }
    }
}

/// The text in an operation's result: its `yaml` or `text`, or all of it as YAML.
pub fn as_text(value: &Value) -> String {
    for field in ["yaml", "text", "description", "manifest"] {
        if let Some(text) = value.get(field).and_then(Value::as_str) {
            return text.to_owned();
        }
    }
    match value {
        Value::String(text) => text.clone(),
        other => serde_yaml_ng::to_string(other).unwrap_or_else(|_| other.to_string()),
    }
}
