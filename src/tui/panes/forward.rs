//! Asks where a new port-forward should lead: the ports that the object has are offered, those that its k9s annotations
//! name first.

use compact_str::CompactString;
use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use serde_json::{Value, json};

use super::talk::without_kind;
use crate::base::{Error, SafeText};
use crate::gate::{Reply, Request};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::object::ObjectRef;
use crate::tui::pane::{Handled, Look, Pane};
use crate::tui::widgets::dialog;
use crate::tui::widgets::input::Input;

/// The offers that are shown at once.
const OFFERS: usize = 6;

/// A mapping that is offered, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Offer {
    ports: String,
    what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Ports,
    Address,
}

pub struct ForwardPane {
    object: ObjectRef,
    ports: Input,
    address: Input,
    field: Field,
    offers: Vec<Offer>,
    at: usize,
    asked: Option<Ticket>,
    sent: Option<Ticket>,
    error: Option<Error>,
}

impl ForwardPane {
    pub fn new(object: ObjectRef) -> Self {
        Self {
            object,
            ports: Input::default().at_most(40),
            address: Input::offer("127.0.0.1".to_owned()).at_most(45),
            field: Field::Ports,
            offers: Vec::new(),
            at: 0,
            asked: None,
            sent: None,
            error: None,
        }
    }

    fn offer(&mut self) {
        if let Some(offer) = self.offers.get(self.at) {
            self.ports = Input::offer(offer.ports.clone()).at_most(40);
        }
    }

    fn move_by(&mut self, by: isize) {
        let last = self.offers.len().saturating_sub(1);
        self.at = self.at.saturating_add_signed(by).min(last);
        self.offer();
    }

    fn accept(&mut self, cx: &mut Cx<'_>) {
        if self.sent.is_some() {
            return;
        }
        let ports = self.ports.text().trim().to_owned();
        if ports.is_empty() {
            self.ports.refuse("LOCAL:REMOTE, such as 8080:80");
            return;
        }
        let mut arguments = without_kind(&self.object);
        let kind = self.object.plural().trim_end_matches('s');
        if kind != "pod" {
            arguments["name"] = json!(format!("{kind}/{}", self.object.name));
        }
        arguments["ports"] = json!(ports);
        arguments["address"] = json!(self.address.text().trim());
        self.error = None;
        self.sent = Some(cx.call(Request::new("forward_create", arguments)));
    }

    fn answered(&mut self, result: crate::base::Result<Reply>, cx: &mut Cx<'_>) {
        match result {
            Ok(Reply::Done { output, .. }) => {
                let text = |field: &str| output[field].as_str().unwrap_or_default().to_owned();
                cx.flash(
                    Flash::info(format!(
                        "{} leads to {} {}",
                        text("address"),
                        text("to"),
                        text("remote_port")
                    ))
                    .next("f shows the port-forwards."),
                );
                cx.close();
            }
            Ok(Reply::Held(held)) => {
                cx.flash(Flash::warning(held.reason));
                cx.close();
            }
            Err(error) => self.error = Some(error),
        }
    }

    fn row(area: Rect, y: u16) -> Rect {
        let inside = dialog::inside(area);
        Rect {
            x: inside.x + 9.min(inside.width),
            y: inside.y + y,
            width: inside.width.saturating_sub(9),
            height: 1,
        }
    }

    fn focused(&mut self) -> &mut Input {
        match self.field {
            Field::Ports => &mut self.ports,
            Field::Address => &mut self.address,
        }
    }
}

impl Pane for ForwardPane {
    fn name(&self) -> CompactString {
        "forward".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        vec!["forward".into()]
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        let title =
            format!(" port-forward to {} {} ", self.object.plural().trim_end_matches('s'), self.object.name);
        Line::styled(SafeText::new(&title).to_string(), look.theme.title)
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        if let Some(address) = &cx.shared.user.settings.forward_address {
            self.address = Input::offer(address.clone()).at_most(45);
        }
        let mut arguments = self.object.arguments();
        arguments["format"] = json!("json");
        self.asked = Some(cx.call(Request::new("resource_get", arguments)));
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        match action.name {
            "accept" => self.accept(cx),
            "up" => self.move_by(-1),
            "down" => self.move_by(1),
            "tab" | "tab_back" => {
                self.field = if self.field == Field::Ports { Field::Address } else { Field::Ports };
            }
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn text(&mut self, key: KeyEvent, _cx: &mut Cx<'_>) -> Handled {
        self.focused().key(key).into()
    }

    fn paste(&mut self, text: &str, _cx: &mut Cx<'_>) -> Handled {
        self.focused().paste(text);
        Handled::Yes
    }

    fn receive(&mut self, message: Message, cx: &mut Cx<'_>) {
        let Message::Reply { ticket, result } = message else { return };
        if self.sent == Some(ticket) {
            self.sent = None;
            self.answered(result, cx);
        } else if self.asked == Some(ticket) {
            self.asked = None;
            // Without the object nothing is offered; the call itself says what is wrong.
            if let Ok(Reply::Done { output, .. }) = result
                && let Some(text) = output["text"].as_str()
                && let Ok(object) = serde_json::from_str::<Value>(text)
            {
                self.offers = offers(&object);
                if self.ports.text().is_empty() {
                    self.offer();
                }
            }
        }
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let theme = look.theme;
        dialog::frame(look, area, buf, self.title(look), Line::default(), &dialog::keys(look, &self.modes()));
        let inside = dialog::inside(area);
        let width = usize::from(inside.width);
        buf.set_stringn(inside.x, inside.y, "ports", width, theme.dialog_label);
        self.ports.draw(Self::row(area, 0), buf, theme.dialog_field, theme);
        buf.set_stringn(inside.x, inside.y + 1, "address", width, theme.dialog_label);
        self.address.draw(Self::row(area, 1), buf, theme.dialog_field, theme);
        let top = (self.at + 1).saturating_sub(OFFERS);
        let y = inside.y + 3;
        if self.asked.is_some() {
            buf.set_stringn(inside.x, y, "asking for its ports…", width, theme.dim);
        } else if self.offers.is_empty() {
            buf.set_stringn(inside.x, y, "it names no ports: type LOCAL:REMOTE", width, theme.dim);
        }
        for (y, (i, offer)) in (y..).zip(self.offers.iter().enumerate().skip(top).take(OFFERS)) {
            let text = SafeText::new(&format!("{:<14} {}", offer.ports, offer.what)).to_string();
            buf.set_stringn(inside.x, y, text, width, theme.dialog);
            if i == self.at {
                buf.set_style(Rect { y, height: 1, ..inside }, theme.cursor);
            }
        }
        let foot = inside.bottom().saturating_sub(2);
        if let Some(error) = &self.error {
            buf.set_stringn(inside.x, foot, &*SafeText::new(&error.message), width, theme.error);
            buf.set_stringn(inside.x, foot + 1, &*SafeText::new(error.next_step()), width, theme.dim);
        } else if self.sent.is_some() {
            buf.set_stringn(inside.x, foot, "finding the way…", width, theme.dim);
        }
    }

    fn cursor(&self, area: Rect) -> Option<Position> {
        Some(match self.field {
            Field::Ports => self.ports.cursor(Self::row(area, 0)),
            Field::Address => self.address.cursor(Self::row(area, 1)),
        })
    }

    fn place(&self, screen: Rect) -> Rect {
        let offers = u16::try_from(self.offers.len().clamp(1, OFFERS)).unwrap_or(1);
        dialog::centred(screen, 76, dialog::FRAME_ROWS + 3 + offers + 3)
    }
}

/// The mappings that an object suggests.
fn offers(object: &Value) -> Vec<Offer> {
    let mut offers = annotated(object);
    let list = |value: &Value, pointer: &str| {
        value.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    for port in list(object, "/spec/ports") {
        offers.extend(offer(&port, "port", "service"));
    }
    for pointer in ["/spec/containers", "/spec/template/spec/containers"] {
        for container in list(object, pointer) {
            let name = container["name"].as_str().unwrap_or_default().to_owned();
            for port in list(&container, "/ports") {
                offers.extend(offer(&port, "containerPort", &name));
            }
        }
    }
    offers
}

/// Only TCP goes through a port-forward.
fn offer(port: &Value, field: &str, of: &str) -> Option<Offer> {
    if port["protocol"].as_str().is_some_and(|p| p != "TCP") {
        return None;
    }
    let number = port[field].as_u64()?;
    // Ports below 1024 are root's here.
    let ports =
        if number < 1024 { format!("{}:{number}", number + 8000) } else { format!("{number}:{number}") };
    let name = port["name"].as_str().unwrap_or_default();
    Some(Offer { ports, what: format!("{of} {name}").trim_end().to_owned() })
}

/// `k9scli.io/port-forwards: container::[local:]port, …`, and the same with `auto-`.
fn annotated(object: &Value) -> Vec<Offer> {
    let annotation = |name: &str| {
        object
            .pointer("/metadata/annotations")
            .and_then(|a| a.get(name))
            .or_else(|| object.pointer("/spec/template/metadata/annotations").and_then(|a| a.get(name)))
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    ["k9scli.io/auto-port-forwards", "k9scli.io/port-forwards"]
        .iter()
        .flat_map(|name| annotation(name).split(',').map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|entry| {
            let (container, ports) = entry.trim().split_once("::")?;
            let ports = ports.trim();
            (!ports.is_empty()).then(|| Offer {
                ports: ports.to_owned(),
                what: format!("{container}, as its annotation says"),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_and_then_the_ports_of_containers_are_offered() {
        let pod = json!({
            "metadata": {"annotations": {"k9scli.io/port-forwards": "app::9000:http, app::8443"}},
            "spec": {"containers": [
                {"name": "app", "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]},
                {"name": "side", "ports": [{"containerPort": 9090}]},
            ]},
        });
        let all: Vec<_> = offers(&pod).into_iter().map(|o| format!("{} {}", o.ports, o.what)).collect();
        assert_eq!(
            all,
            [
                "9000:http app, as its annotation says",
                "8443 app, as its annotation says",
                "8080:80 app http",
                "9090:9090 side",
            ]
        );
        let service = json!({"spec": {"ports": [{"port": 443, "name": "tls"}]}});
        assert_eq!(offers(&service)[0].ports, "8443:443");
    }
}
