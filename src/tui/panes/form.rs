//! The dialog that makes a call from a form: any operation, from its schema alone; or what is common to the same call
//! about several objects.

use compact_str::CompactString;
use crossterm::event::KeyEvent;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use serde_json::{Value, json};

use super::change::{ConfirmPane, Step};
use super::form_known::{hide, in_view};
use super::text::TextPane;
use crate::base::{Code, Error, Result, SafeText};
use crate::gate::{Effect, OperationInfo, Reply, Request};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::object::{ObjectRef, Route};
use crate::tui::pane::{Handled, Look, Pane};
use crate::tui::shared::{READ_ONLY, Shared};
use crate::tui::user::{Input as PluginInput, Plugin};
use crate::tui::widgets::dialog;
use crate::tui::widgets::form::{Entry, Form};
use crate::tui::widgets::prose::{Ink, Prose, Row};

/// Rows below the fields: the field's help, what is wrong, and what it can be completed with.
const FOOT: u16 = 3;
const FOOT_AT_MOST: u16 = 10;
/// Names read to complete one with.
const NAMES: usize = 5_000;

/// Makes steps of what was filled in, where it is not simply the operation's arguments.
type Make = Box<dyn Fn(&Value) -> Vec<Step> + Send>;

/// What an object's own arguments are called.
const OBJECT: [&str; 4] = ["cluster", "namespace", "kind", "name"];

pub struct FormPane {
    info: OperationInfo,
    form: Form,
    make: Option<Make>,
    /// The form again, with what was filled in.
    again: Option<Route>,
    left_out: Option<String>,
    call: Option<Ticket>,
    error: Option<Error>,
    top: usize,
    names: Names,
    /// Enter was pressed once on these arguments, which have no preview: it is pressed again to make the call.
    armed: Option<Value>,
    /// What is asked for is a plugin's: the call that it goes into, and whether it is to be confirmed.
    plugin: Option<(Step, bool)>,
}

/// Names of objects to complete a field with, read once for each place that the form names.
#[derive(Default)]
struct Names {
    /// Kind, cluster and namespace.
    of: [String; 3],
    asked: Option<Ticket>,
    found: Vec<String>,
}

/// What a form shows that is no operation's.
fn own(title: &str, input: Value) -> OperationInfo {
    OperationInfo {
        name: title.to_owned(),
        summary: String::new(),
        effect: Effect::Change,
        idempotent: false,
        method: crate::gate::Method::Post,
        path: String::new(),
        watch: false,
        preview: true,
        terminal: false,
        input: input.into(),
        output: Value::Null.into(),
    }
}

impl FormPane {
    pub fn new(operation: &str, known: &Value, shared: &Shared) -> Result<Self> {
        let info = shared.operation(operation).cloned().ok_or_else(|| {
            Error::not_found(format!("there is no operation {operation:?}"))
                .next("Ctrl-p lists every operation.")
        })?;
        if shared.read_only && info.effect != Effect::Observe {
            let what = format!("this session is read-only: {operation} is a {}", info.effect.as_str());
            return Err(Error::new(Code::PermissionDenied, what).next(READ_ONLY));
        }
        let known = in_view(&info, known, shared);
        Ok(Self::of(info, &known))
    }

    fn of(info: OperationInfo, known: &Value) -> Self {
        let form = Form::new(&info.input, known);
        Self {
            info,
            form,
            make: None,
            again: None,
            left_out: None,
            call: None,
            error: None,
            top: 0,
            names: Names::default(),
            armed: None,
            plugin: None,
        }
    }

    /// The form of an operation on some objects, which it does not ask for: what is filled in holds for each.
    pub fn about(
        operation: &str,
        objects: Vec<ObjectRef>,
        known: &Value,
        left_out: Option<String>,
        shared: &Shared,
    ) -> Result<Self> {
        let mut pane = Self::new(operation, known, shared)?;
        let mut asked = Value::clone(&pane.info.input);
        hide(&mut asked, &OBJECT);
        let whole = std::mem::replace(&mut pane.info.input, asked.into());
        pane.form = Form::new(&pane.info.input, known);
        let (name, about) = (pane.info.name.clone(), objects.clone());
        let verb = name.rsplit('_').next().unwrap_or_default().to_owned();
        pane.make = Some(Box::new(move |filled| {
            let step = |object: &ObjectRef| {
                let mut arguments = object.arguments();
                if let Some(map) = arguments.as_object_mut() {
                    map.retain(|field, _| whole["properties"].get(field).is_some());
                    map.extend(filled.as_object().cloned().unwrap_or_default());
                }
                let label = format!("{verb} {} {}", object.plural().trim_end_matches('s'), object.name);
                Step { request: Request::new(name.clone(), arguments), label }
            };
            about.iter().map(step).collect()
        }));
        pane.again = Some(Route::FormAbout {
            operation: operation.to_owned(),
            objects,
            arguments: Value::Null,
            left_out: left_out.clone(),
        });
        pane.left_out = left_out;
        Ok(pane)
    }

    /// A form of its own, which is no operation's.
    pub fn made(title: &str, input: Value, known: &Value, make: Make) -> Self {
        Self { make: Some(make), ..Self::of(own(title, input), known) }
    }

    /// Asks for what a plugin needs, and runs it with that.
    pub fn plugin(plugin: &Plugin, step: Step) -> Self {
        let property = |input: &PluginInput| {
            let kind = match input.kind.as_str() {
                "number" => "number",
                "bool" => "boolean",
                _ => "string",
            };
            let mut property = json!({ "type": kind, "description": input.label });
            if !input.options.is_empty() {
                property["enum"] = json!(input.options);
            }
            if let Some(initial) = &input.initial {
                // A number or a truth value is its own YAML.
                let typed = if kind == "string" { None } else { serde_json::from_str::<Value>(initial).ok() };
                property["default"] = typed.unwrap_or_else(|| json!(initial));
            }
            (input.name.clone(), property)
        };
        let required: Vec<&str> =
            plugin.inputs.iter().filter(|i| i.required).map(|i| i.name.as_str()).collect();
        let properties: serde_json::Map<String, Value> = plugin.inputs.iter().map(property).collect();
        let input = json!({ "type": "object", "properties": properties, "required": required });
        let info = own(&plugin.description, input);
        Self { plugin: Some((step, plugin.confirm)), ..Self::of(info, &Value::Null) }
    }

    /// Puts what was asked for into the plugin's call.
    fn submit_plugin(&mut self, arguments: &Value, cx: &mut Cx<'_>) {
        let Some((mut step, confirm)) = self.plugin.take() else { return };
        let write = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let given = arguments.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        let inputs: Vec<String> = given.map(|(name, value)| format!("{name}={}", write(value))).collect();
        step.request.arguments["inputs"] = json!(inputs);
        cx.close();
        if confirm {
            cx.layer(Box::new(ConfirmPane::new(Effect::Change, vec![step])));
        } else {
            cx.run(step.request, step.label);
        }
    }

    fn submit(&mut self, cx: &mut Cx<'_>) {
        if self.call.is_some() {
            return;
        }
        let Some(arguments) = self.form.arguments() else { return };
        self.error = None;
        if self.plugin.is_some() {
            return self.submit_plugin(&arguments, cx);
        }
        if let Some(make) = &self.make {
            let steps = make(&arguments);
            if steps.is_empty() {
                self.error = Some(Error::invalid("nothing is changed").next("Change a field, or leave."));
                return;
            }
            let form = self.again.take().map(|again| match again {
                Route::FormAbout { operation, objects, left_out, .. } => {
                    Route::FormAbout { operation, objects, arguments, left_out }
                }
                other => other,
            });
            let confirm = ConfirmPane::new(self.info.effect, steps);
            cx.close();
            cx.layer(Box::new(confirm.leaving_out(self.left_out.take()).from_form(form)));
            return;
        }
        let request = Request::new(self.info.name.clone(), arguments);
        if self.info.effect != Effect::Observe && (self.info.preview || self.info.effect == Effect::Destroy) {
            let label = self.info.name.replace('_', " ");
            let confirm = ConfirmPane::new(self.info.effect, vec![Step { request, label }]);
            cx.close();
            cx.layer(Box::new(confirm));
            return;
        }
        if self.info.effect != Effect::Observe && self.armed.as_ref() != Some(&request.arguments) {
            self.armed = Some(request.arguments);
            return;
        }
        self.call = Some(cx.call(request));
    }

    fn answered(&mut self, result: Result<Reply>, cx: &mut Cx<'_>) {
        match result {
            Ok(Reply::Done { output, .. }) => {
                cx.close();
                if self.info.effect != Effect::Observe {
                    cx.flash(Flash::info(format!("{}: done", self.info.name)));
                }
                // What was made has an identifier, an end, or a secret that is shown this once.
                cx.push(Box::new(TextPane::value("result", self.info.name.clone(), &output)));
            }
            Ok(Reply::Held(held)) => {
                cx.close();
                cx.flash(Flash::warning(held.reason));
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// What is about to be done: every field that is filled in.
    fn summary(&self) -> String {
        let filled = self.armed.as_ref().and_then(Value::as_object).into_iter().flatten();
        let filled: Vec<String> = filled.map(|(name, value)| format!("{name} {value}")).collect();
        format!("{} with {}", self.info.name.replace('_', " "), filled.join(", "))
    }

    /// Words that the focused field can be completed with: what the screen knows by itself, else what is asked for.
    fn suggest(&mut self, cx: &mut Cx<'_>) {
        let shared = cx.shared;
        let what = self.form.focused().and_then(|e| e.field.complete.clone());
        let words: Vec<String> = match what.as_deref() {
            Some("cluster") => shared.known_clusters.iter().map(|c| c.name.to_string()).collect(),
            Some("namespace") => self.names_of("namespaces".to_owned(), String::new(), cx),
            Some("name") => self.names_of(self.kind(shared), self.form.text("namespace").to_owned(), cx),
            Some("kind") => shared.kinds.iter().map(|k| k.id.to_string()).collect(),
            _ => Vec::new(),
        };
        self.form.suggest(words);
    }

    /// The kind that the form is about: its own field, else the operation's noun.
    fn kind(&self, shared: &Shared) -> String {
        let noun = self.info.name.split('_').next().unwrap_or_default();
        match (self.form.text("kind").trim(), noun) {
            ("", "log" | "container") => "pods".to_owned(),
            ("", "resource" | "object" | "manifest") => String::new(),
            ("", noun) => shared.kind(noun).map_or_else(|| noun.to_owned(), |k| k.id.to_string()),
            (kind, _) => kind.to_owned(),
        }
    }

    /// The names known of such objects; asks for them when they are others than the last ones.
    fn names_of(&mut self, kind: String, namespace: String, cx: &mut Cx<'_>) -> Vec<String> {
        if kind.is_empty() || !cx.shared.has_operation("resource_list") {
            return Vec::new();
        }
        let of = [kind, self.form.text("cluster").to_owned(), namespace];
        if self.names.of != of {
            let mut arguments = json!({ "kind": of[0], "columns": ["NAME"], "limit": NAMES });
            for (field, value) in [("cluster", &of[1]), ("namespace", &of[2])] {
                if !value.trim().is_empty() {
                    arguments[field] = json!(value.trim());
                }
            }
            if let Some(old) = self.names.asked.take() {
                cx.cancel(old);
            }
            let asked = Some(cx.call(Request::new("resource_list", arguments)));
            self.names = Names { of, asked, found: Vec::new() };
        }
        self.names.found.clone()
    }

    /// The names came. Where there are none (a slip in the kind, no permission) nothing is offered: the call itself
    /// will say what is wrong.
    fn named(&mut self, result: Result<Reply>, cx: &mut Cx<'_>) {
        self.names.asked = None;
        let Ok(Reply::Done { output, .. }) = result else { return };
        let rows = output["rows"].as_array().into_iter().flatten();
        self.names.found = rows.filter_map(|row| Some(row[0].as_str()?.to_owned())).collect();
        if self.form.chosen.is_none() {
            self.suggest(cx);
        }
    }

    fn label_width(&self) -> u16 {
        let longest = self.form.entries.iter().map(|e| e.field.name.len()).max().unwrap_or(0);
        u16::try_from(longest).unwrap_or(u16::MAX).min(24) + 3
    }

    /// Where the field of an entry is, if it is on the screen.
    fn field(&self, area: Rect, index: usize) -> Option<Rect> {
        let inside = dialog::inside(area);
        let rows = inside.height.saturating_sub(self.foot(inside.width));
        let line = u16::try_from(index.checked_sub(self.top)?).ok().filter(|l| *l < rows)?;
        let label = self.label_width().min(inside.width);
        Some(Rect { x: inside.x + label, y: inside.y + line, width: inside.width - label, height: 1 })
    }

    /// What stands below the fields: an error, what Enter is about to do, or what the field could be.
    fn said(&self, width: u16) -> Vec<Row> {
        let (text, ink) = match &self.error {
            Some(error) => (error.told(), Ink::Error),
            None if self.call.is_some() => ("calling…".to_owned(), Ink::Dim),
            None if self.armed.is_some() => {
                (format!("Enter again does it: {}.", self.summary()), Ink::Warning)
            }
            _ => (self.form.suggestions.join("  "), Ink::Dim),
        };
        let mut prose = Prose::new(width);
        prose.words((ink, ""), ink, &text);
        prose.done()
    }

    /// Rows below the fields: the hint, and what is said. Nothing of what Enter does may be cut.
    fn foot(&self, width: u16) -> u16 {
        let whole = self.error.is_some() || self.armed.is_some();
        let rows = if whole { self.said(width).len() + 1 } else { 0 };
        u16::try_from(rows).unwrap_or(u16::MAX).clamp(FOOT, FOOT_AT_MOST)
    }

    fn draw_entry(&self, entry: &Entry, field: Rect, index: usize, look: &Look<'_>, buf: &mut Buffer) {
        let theme = look.theme;
        let label = self.label_width();
        let mark = if entry.field.required { "*" } else { " " };
        let style = if entry.input.note().is_some() { theme.error } else { theme.dialog_label };
        let name = SafeText::new(&entry.field.name);
        buf.set_stringn(field.x - label, field.y, format!("{mark}{name}"), usize::from(label - 1), style);
        let style = if index == self.form.focus { theme.dialog_field } else { theme.dialog };
        entry.input.draw(field, buf, style, theme);
        if entry.input.text().is_empty() && index != self.form.focus {
            buf.set_stringn(field.x, field.y, "–", usize::from(field.width), theme.dim);
        }
    }
}

impl Pane for FormPane {
    fn name(&self) -> CompactString {
        "form".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        vec!["form".into()]
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        let badge = match self.info.effect {
            Effect::Observe => look.theme.info,
            Effect::Change => look.theme.warning,
            Effect::Destroy => look.theme.error,
        };
        Line::from(vec![
            Span::styled(format!(" {} ", self.info.name), look.theme.title),
            Span::styled(format!("{} ", self.info.effect.as_str()), badge),
        ])
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        // Nothing to ask: the call can be made at once.
        if self.form.entries.is_empty() {
            self.submit(cx);
        } else {
            self.suggest(cx);
        }
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        match action.name {
            "accept" => self.submit(cx),
            "tab" if self.form.complete(true) => self.armed = None,
            "tab_back" if self.form.complete(false) => self.armed = None,
            "down" | "tab" => {
                self.form.step(true);
                self.suggest(cx);
            }
            "up" | "tab_back" => {
                self.form.step(false);
                self.suggest(cx);
            }
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn text(&mut self, key: KeyEvent, cx: &mut Cx<'_>) -> Handled {
        if !self.form.key(key) {
            return Handled::No;
        }
        self.armed = None;
        self.suggest(cx);
        Handled::Yes
    }

    fn paste(&mut self, text: &str, cx: &mut Cx<'_>) -> Handled {
        self.form.paste(text);
        self.armed = None;
        self.suggest(cx);
        Handled::Yes
    }

    fn receive(&mut self, message: Message, cx: &mut Cx<'_>) {
        match message {
            Message::Reply { ticket, result } if self.call == Some(ticket) => {
                self.call = None;
                self.answered(result, cx);
            }
            Message::Reply { ticket, result } if self.names.asked == Some(ticket) => self.named(result, cx),
            _ => {}
        }
    }

    fn layout(&mut self, area: Rect, _now: Timestamp) {
        let inside = dialog::inside(area);
        let rows = usize::from(inside.height.saturating_sub(self.foot(inside.width))).max(1);
        self.top = self.top.min(self.form.focus).max((self.form.focus + 1).saturating_sub(rows));
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let theme = look.theme;
        dialog::frame(look, area, buf, self.title(look), Line::default(), &dialog::keys(look, &self.modes()));
        for (index, entry) in self.form.entries.iter().enumerate() {
            if let Some(field) = self.field(area, index) {
                self.draw_entry(entry, field, index, look, buf);
            }
        }
        let inside = dialog::inside(area);
        let height = self.foot(inside.width).min(inside.height);
        let foot = Rect { y: inside.bottom().saturating_sub(height), height, ..inside };
        let width = usize::from(foot.width);
        let entry = self.form.focused();
        let hint = entry.map(|e| format!("{} ({})", e.field.hint, e.field.kind.label())).unwrap_or_default();
        buf.set_stringn(foot.x, foot.y, &*SafeText::new(hint.trim_start()), width, theme.dim);
        for (line, row) in (1..foot.height).zip(self.said(foot.width)) {
            row.compose(theme).draw(buf, foot.x, foot.y + line, foot.width, 0);
        }
    }

    fn cursor(&self, area: Rect) -> Option<Position> {
        let field = self.field(area, self.form.focus)?;
        Some(self.form.focused()?.input.cursor(field))
    }

    fn place(&self, screen: Rect) -> Rect {
        let rows = u16::try_from(self.form.entries.len().max(1)).unwrap_or(u16::MAX);
        let width = screen.width.min(84);
        let inside = dialog::inside(Rect { width, ..screen }).width;
        dialog::centred(screen, width, rows.saturating_add(self.foot(inside) + dialog::FRAME_ROWS))
    }
}
