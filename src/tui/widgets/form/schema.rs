//! Reading a JSON Schema (2020-12) as far as forms need it.

use serde_json::Value;

use crate::tui::widgets::input::Input;

/// One property.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    /// The property's documentation.
    pub hint: String,
    pub kind: Kind,
    pub required: bool,
    pub default: Option<Value>,
    /// The schema's `x-complete`: what it can be completed with.
    pub complete: Option<String>,
}

/// What can be typed into a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Text,
    Integer {
        minimum: Option<i64>,
        maximum: Option<i64>,
    },
    Number,
    Bool,
    /// Words, each with its help.
    Choice(Vec<(String, String)>),
    /// Simple values, separated by commas.
    List(Box<Kind>),
    /// Anything else, as YAML in one line.
    Yaml,
}

/// The properties of an object schema: first what is required, in its order, then the others.
pub fn fields(schema: &Value) -> Vec<Field> {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let mut all: Vec<Field> = properties
        .iter()
        .map(|(name, property)| {
            let text = |key: &str| property[key].as_str().map(str::to_owned);
            let resolved = resolve(schema, property);
            Field {
                name: name.clone(),
                hint: text("description")
                    .or_else(|| resolved["description"].as_str().map(str::to_owned))
                    .unwrap_or_default(),
                kind: kind(schema, property),
                required: required.contains(&name.as_str()),
                default: property.get("default").filter(|d| !d.is_null()).cloned(),
                complete: text("x-complete"),
            }
        })
        .collect();
    let rank = |f: &Field| required.iter().position(|r| *r == f.name).unwrap_or(required.len());
    all.sort_by_key(rank);
    all
}

/// Follows references, and takes the part of a choice with `null` that is not `null`.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut at = schema;
    // References to references end; a loop of them would not.
    for _ in 0..8 {
        if let Some(reference) = at["$ref"].as_str().and_then(|r| r.strip_prefix('#')) {
            let Some(found) = root.pointer(reference) else { return at };
            at = found;
            continue;
        }
        let options = at["anyOf"].as_array().or_else(|| at["oneOf"].as_array());
        let real: Vec<&Value> = options.into_iter().flatten().filter(|o| o["type"] != "null").collect();
        match real.as_slice() {
            [only] if only.get("const").is_none() => at = only,
            _ => return at,
        }
    }
    at
}

fn kind(root: &Value, property: &Value) -> Kind {
    let schema = resolve(root, property);
    if let Some(words) = choices(schema) {
        return Kind::Choice(words);
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).filter(|t| *t != "null").collect(),
        _ => Vec::new(),
    };
    match types.as_slice() {
        ["string"] => Kind::Text,
        ["integer"] => {
            Kind::Integer { minimum: schema["minimum"].as_i64(), maximum: schema["maximum"].as_i64() }
        }
        ["number"] => Kind::Number,
        ["boolean"] => Kind::Bool,
        ["array"] => match kind(root, &schema["items"]) {
            Kind::List(_) | Kind::Yaml => Kind::Yaml,
            simple => Kind::List(Box::new(simple)),
        },
        _ => Kind::Yaml,
    }
}

fn choices(schema: &Value) -> Option<Vec<(String, String)>> {
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<_> =
            words.iter().filter_map(Value::as_str).map(|w| (w.to_owned(), String::new())).collect();
        return (!words.is_empty()).then_some(words);
    }
    let options = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array())?;
    let mut words = Vec::new();
    for option in options.iter().filter(|o| o["type"] != "null") {
        let help = option["description"].as_str().unwrap_or_default();
        if let Some(word) = option["const"].as_str() {
            words.push((word.to_owned(), help.to_owned()));
        } else {
            // Words without documentation come together in one `enum`.
            let several = option["enum"].as_array()?;
            words.extend(several.iter().filter_map(Value::as_str).map(|w| (w.to_owned(), help.to_owned())));
        }
    }
    (!words.is_empty()).then_some(words)
}

impl Kind {
    /// The value that a text stands for.
    pub fn read(&self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        match self {
            Kind::Text => Ok(Value::String(text.to_owned())),
            Kind::Bool => text.parse::<bool>().map(Value::Bool).map_err(|_| "true or false".to_owned()),
            Kind::Integer { minimum, maximum } => {
                let n = text.parse::<i64>().map_err(|_| "a whole number".to_owned())?;
                match (minimum, maximum) {
                    (Some(low), _) if n < *low => Err(format!("{low} or more")),
                    (_, Some(high)) if n > *high => Err(format!("{high} at most")),
                    _ => Ok(Value::from(n)),
                }
            }
            Kind::Number => text.parse::<f64>().map(Value::from).map_err(|_| "a number".to_owned()),
            Kind::Choice(words) => {
                if words.iter().any(|(w, _)| w == text) {
                    return Ok(Value::String(text.to_owned()));
                }
                let known: Vec<&str> = words.iter().map(|(w, _)| w.as_str()).collect();
                Err(format!("one of {}", known.join(", ")))
            }
            Kind::List(item) => {
                let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
                parts.map(|p| item.read(p)).collect::<Result<Vec<_>, _>>().map(Value::Array)
            }
            Kind::Yaml => serde_yaml_ng::from_str(text).map_err(|e| format!("not YAML: {e}")),
        }
    }

    /// The text for a value: the reverse of [`Kind::read`].
    pub fn write(&self, value: &Value) -> String {
        match (self, value) {
            (_, Value::String(text)) => text.clone(),
            (Kind::List(item), Value::Array(values)) => {
                values.iter().map(|v| item.write(v)).collect::<Vec<_>>().join(", ")
            }
            (_, other) => other.to_string(),
        }
    }

    /// The field to type it into, with what is known in it. A number gives way to the first digit typed.
    pub fn input(&self, known: String) -> Input {
        match self {
            Kind::Integer { minimum: Some(0..), .. } => Input::offer(known).digits(),
            Kind::Integer { .. } | Kind::Number => Input::offer(known),
            _ => Input::new(known),
        }
    }

    /// What a field takes, in a word or two.
    pub fn label(&self) -> String {
        match self {
            Kind::Text => "text".to_owned(),
            Kind::Integer { .. } => "whole number".to_owned(),
            Kind::Number => "number".to_owned(),
            Kind::Bool => "true or false: space turns it".to_owned(),
            Kind::Choice(words) => {
                let words: Vec<&str> = words.iter().map(|(w, _)| w.as_str()).collect();
                format!("{}: space turns it", words.join(" | "))
            }
            Kind::List(_) => "several, with commas between them".to_owned(),
            Kind::Yaml => "YAML in one line".to_owned(),
        }
    }
}
