//! Asks for the images of an object's containers, init containers too.

use compact_str::CompactString;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use serde_json::{Map, Value, json};

use super::Step;
use crate::base::{Error, SafeText};
use crate::gate::{Reply, Request};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Message, Ticket};
use crate::tui::object::ObjectRef;
use crate::tui::pane::{Handled, Look, Pane};
use crate::tui::panes::form::FormPane;
use crate::tui::widgets::dialog;

/// Reads the containers, then gives way to the form.
pub struct ImagePane {
    object: ObjectRef,
    asked: Option<Ticket>,
    error: Option<Error>,
}

impl ImagePane {
    pub fn new(object: ObjectRef) -> Self {
        Self { object, asked: None, error: None }
    }

    fn read(&mut self, object: &Value, cx: &mut Cx<'_>) {
        let found = containers(object);
        if found.is_empty() {
            let what = format!("{} {} has no containers", self.object.plural(), self.object.name);
            self.error = Some(Error::unsupported(what).next("Choose a pod, or what makes pods."));
            return;
        }
        cx.close();
        cx.layer(Box::new(form(&self.object, found)));
    }
}

/// The containers of an object with their images; init containers first, as they start.
fn containers(object: &Value) -> Vec<(String, String, bool)> {
    let spec = ["/spec/jobTemplate/spec/template/spec", "/spec/template/spec", "/spec"]
        .iter()
        .find_map(|at| object.pointer(at).filter(|s| s.get("containers").is_some()));
    let list = |key: &str| spec.and_then(|s| s[key].as_array()).cloned().unwrap_or_default();
    let of = |container: &Value, init: bool| {
        let text = |key: &str| container[key].as_str().unwrap_or_default().to_owned();
        (text("name"), text("image"), init)
    };
    let mut all: Vec<_> = list("initContainers").iter().map(|c| of(c, true)).collect();
    all.extend(list("containers").iter().map(|c| of(c, false)));
    all
}

fn form(object: &ObjectRef, containers: Vec<(String, String, bool)>) -> FormPane {
    let mut properties = Map::new();
    let mut known = Map::new();
    for (name, image, init) in &containers {
        let what = if *init { "The init container's image." } else { "The container's image." };
        properties.insert(name.clone(), json!({ "type": "string", "description": what }));
        known.insert(name.clone(), json!(image));
    }
    let names: Vec<&String> = containers.iter().map(|(name, ..)| name).collect();
    let schema = json!({ "type": "object", "properties": properties, "required": names });
    let about = object.clone();
    let make = move |filled: &Value| {
        let changed: Vec<String> = containers
            .iter()
            .filter_map(|(name, image, _)| {
                let wanted = filled[name].as_str()?;
                (wanted != image).then(|| format!("{name}={wanted}"))
            })
            .collect();
        if changed.is_empty() {
            return Vec::new();
        }
        let mut arguments = about.arguments();
        arguments["images"] = json!(changed);
        let label = format!("image {} {}", about.plural().trim_end_matches('s'), about.name);
        vec![Step { request: Request::new("image_set", arguments), label }]
    };
    let title = format!("images of {}", object.name);
    FormPane::made(&title, schema, &Value::Object(known), Box::new(make))
}

impl Pane for ImagePane {
    fn name(&self) -> CompactString {
        "image".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        vec!["waiting".into()]
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        Line::styled(format!(" images of {} ", SafeText::new(&self.object.name)), look.theme.title)
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        let mut arguments = self.object.arguments();
        arguments["format"] = json!("json");
        self.asked = Some(cx.call(Request::new("resource_get", arguments)));
    }

    fn act(&mut self, action: &Action, _cx: &mut Cx<'_>) -> Handled {
        (action.name == "accept").into()
    }

    fn receive(&mut self, message: Message, cx: &mut Cx<'_>) {
        let Message::Reply { ticket, result } = message else { return };
        if self.asked.take_if(|t| *t == ticket).is_none() {
            return;
        }
        match result {
            Ok(Reply::Done { output, .. }) => {
                let object = output["text"].as_str().and_then(|text| serde_json::from_str(text).ok());
                self.read(&object.unwrap_or_default(), cx);
            }
            Ok(Reply::Held(held)) => self.error = Some(Error::unavailable(held.reason)),
            Err(error) => self.error = Some(error),
        }
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        dialog::frame(look, area, buf, self.title(look), Line::default(), &dialog::keys(look, &self.modes()));
        let inside = dialog::inside(area);
        let (text, style) = match &self.error {
            Some(error) => (error.told(), look.theme.error),
            None => ("reading its containers…".to_owned(), look.theme.dim),
        };
        buf.set_stringn(inside.x, inside.y, &*SafeText::new(&text), usize::from(inside.width), style);
    }

    fn place(&self, screen: Rect) -> Rect {
        dialog::centred(screen, 84, dialog::FRAME_ROWS + 2)
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyCode;

    use super::*;
    use crate::tui::effect::Effect;
    use crate::tui::panes::testing::Stage;

    #[test]
    fn every_container_is_a_field_and_only_what_changed_is_set() {
        let mut stage = Stage::new(vec![]);
        let mut pane = ImagePane::new(ObjectRef::new("eu-1", "deployments.apps", "shop", "web"));
        stage.with(|cx| pane.start(cx));
        let (ticket, _) = stage.calls().pop().unwrap();
        let object = json!({"spec": {"template": {"spec": {
            "initContainers": [{"name": "migrate", "image": "shop/migrate:1"}],
            "containers": [{"name": "web", "image": "shop/web:1"}]}}}});
        stage.answer(&mut pane, ticket, json!({ "text": object.to_string() }));
        let Some(Effect::Layer(mut form)) = stage.effects.pop() else { panic!("the form follows") };
        stage.effects.clear();
        insta::assert_snapshot!(stage.frame(&mut *form, 80, 24));
        stage.press(&mut *form, KeyCode::Enter);
        assert!(stage.frame(&mut *form, 80, 24).contains("nothing is changed"));
        stage.act(&mut *form, "down");
        stage.press(&mut *form, KeyCode::Backspace);
        stage.type_text(&mut *form, "2");
        stage.press(&mut *form, KeyCode::Enter);
        let Some(Effect::Layer(mut confirm)) = stage.effects.pop() else { panic!("a confirmation follows") };
        stage.with(|cx| confirm.start(cx));
        let (_, request) = stage.preview();
        assert_eq!(request.arguments["images"], json!(["web=shop/web:2"]));
    }
}
