//! Shells and attaching: which container, and then the terminal is its.

use compact_str::CompactString;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use serde_json::{Value, json};

use crate::base::SafeText;
use crate::gate::Request;
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message};
use crate::tui::object::{ObjectRef, Route};
use crate::tui::pane::{Handled, Look, Pane};
use crate::tui::user::Settings;
use crate::tui::widgets::composed::Composed;
use crate::tui::widgets::dialog;

/// What is wanted of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    Shell,
    Attach,
}

impl Want {
    /// What the action of that name wants.
    pub fn of(action: &str) -> Option<Self> {
        match action {
            "shell" => Some(Want::Shell),
            "attach" => Some(Want::Attach),
            _ => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Want::Shell => "shell",
            Want::Attach => "attach",
        }
    }
}

/// The call for a pod's containers.
pub fn containers(pod: &ObjectRef) -> Request {
    Request::new("container_list", without_kind(pod))
}

/// What names a pod where its kind is known.
pub fn without_kind(pod: &ObjectRef) -> Value {
    let mut arguments = pod.arguments();
    if let Some(map) = arguments.as_object_mut() {
        map.remove("kind");
    }
    arguments
}

/// Hands the terminal to a container.
pub fn begin(want: Want, pod: &ObjectRef, container: &str, cx: &mut Cx<'_>) {
    let mut arguments = without_kind(pod);
    arguments["container"] = json!(container);
    let label = match want {
        Want::Shell => format!("shell in {}/{container}", pod.name),
        Want::Attach => format!("attached to {}/{container}", pod.name),
    };
    cx.talk(Request::new(format!("container_{}", want.word()), arguments), label);
}

/// Small, known everywhere, and with a shell.
const IMAGE: &str = "busybox:stable";

/// The form for what needs more than a key: a debug container, a copy, a shell on a node.
pub fn form(action: &str, object: &ObjectRef, container: Option<&str>, settings: &Settings) -> Route {
    let mut arguments = without_kind(object);
    let operation = match action {
        "debug" => {
            arguments["tty"] = json!(true);
            arguments["image"] = json!(IMAGE);
            if let Some(container) = container {
                arguments["target"] = json!(container);
            }
            "container_debug"
        }
        "transfer" => {
            // One of the two is to be finished by hand: out of the pod is what is wanted most.
            let here = std::env::current_dir().unwrap_or_else(|_| "/tmp".into());
            if let Some(map) = arguments.as_object_mut() {
                map.remove("name");
            }
            arguments["from"] = json!(format!("{}:/", object.name));
            arguments["to"] = json!(format!("{}/", here.display()));
            if let Some(container) = container {
                arguments["container"] = json!(container);
            }
            "file_copy"
        }
        _ => {
            arguments["image"] = json!(settings.shell_image.as_deref().unwrap_or(IMAGE));
            if let Some(namespace) = &settings.shell_namespace {
                arguments["namespace"] = json!(namespace);
            }
            "node_shell"
        }
    };
    Route::Form { operation: operation.to_owned(), arguments }
}

/// Goes on once the containers are known: to the only one that runs, or to a choice.
pub fn choose(want: Want, pod: &ObjectRef, output: &Value, cx: &mut Cx<'_>) {
    let running: Vec<Choice> = choices(output).into_iter().filter(|c| c.state == "Running").collect();
    match running.as_slice() {
        [] => cx.flash(
            Flash::warning(format!("no container of {} runs", pod.name))
                .next("p shows what it said before it ended; d describes the pod."),
        ),
        [only] => begin(want, pod, &only.name, cx),
        _ => cx.layer(Box::new(ChoosePane { want, pod: pod.clone(), choices: running, at: 0 })),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Choice {
    name: String,
    part: String,
    state: String,
    image: String,
}

/// The rows of `container_list`.
fn choices(output: &Value) -> Vec<Choice> {
    let columns: Vec<&str> =
        output["columns"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let at = |name: &str| columns.iter().position(|c| *c == name);
    let cell = |row: &Value, name: &str| {
        at(name).and_then(|i| row.get(i)).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let rows = output["rows"].as_array().into_iter().flatten();
    let mut all: Vec<Choice> = rows
        .map(|row| Choice {
            name: cell(row, "NAME"),
            part: cell(row, "KIND"),
            state: cell(row, "STATE"),
            image: cell(row, "IMAGE"),
        })
        .collect();
    // The main ones are what is meant nearly always; the rest stay in the order of starting.
    all.sort_by_key(|c| c.part != "main");
    all
}

/// Asks which container is meant.
pub struct ChoosePane {
    want: Want,
    pod: ObjectRef,
    choices: Vec<Choice>,
    at: usize,
}

impl Pane for ChoosePane {
    fn name(&self) -> CompactString {
        "choose".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        vec!["choice".into()]
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        let title = format!(" {}: which container of {}? ", self.want.word(), self.pod.name);
        Line::styled(SafeText::new(&title).to_string(), look.theme.title)
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        let last = self.choices.len().saturating_sub(1);
        match action.name {
            "up" => self.at = self.at.saturating_sub(1),
            "down" => self.at = (self.at + 1).min(last),
            "top" | "page_up" => self.at = 0,
            "bottom" | "page_down" => self.at = last,
            "accept" => {
                if let Some(choice) = self.choices.get(self.at) {
                    begin(self.want, &self.pod, &choice.name, cx);
                }
                cx.close();
            }
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn receive(&mut self, _message: Message, _cx: &mut Cx<'_>) {}

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let theme = look.theme;
        dialog::frame(look, area, buf, self.title(look), Line::default(), &dialog::keys(look, &self.modes()));
        let inside = dialog::inside(area);
        let width = self.choices.iter().map(|c| c.name.chars().count()).max().unwrap_or(0).min(40);
        let height = usize::from(inside.height).max(1);
        let top = (self.at + 1).saturating_sub(height);
        for (y, (i, choice)) in (inside.y..).zip(self.choices.iter().enumerate().skip(top).take(height)) {
            let mut line = Composed::new();
            line.push(&SafeText::new(&format!("{:<width$}  ", choice.name)), theme.dialog);
            line.push(&SafeText::new(&format!("{:<9}  {}", choice.part, choice.image)), theme.dim);
            line.draw(buf, inside.x, y, inside.width, 0);
            if i == self.at {
                buf.set_style(Rect { y, height: 1, ..inside }, theme.cursor);
            }
        }
    }

    fn place(&self, screen: Rect) -> Rect {
        let rows = u16::try_from(self.choices.len()).unwrap_or(u16::MAX).min(14);
        dialog::centred(screen, 76, dialog::FRAME_ROWS + rows)
    }
}
