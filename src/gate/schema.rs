//! JSON Schemas that are made when somebody looks at them.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::OnceLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A JSON Schema (2020-12). One of an operation here is made when it is first looked at: a console looks at few of the
/// some three hundred.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    make: Option<fn() -> Value>,
    made: OnceLock<Value>,
}

impl Schema {
    pub fn of(make: fn() -> Value) -> Self {
        Self { make: Some(make), made: OnceLock::new() }
    }
}

impl Deref for Schema {
    type Target = Value;

    fn deref(&self) -> &Value {
        self.made.get_or_init(|| self.make.map_or(Value::Null, |make| make()))
    }
}

impl From<Value> for Schema {
    fn from(schema: Value) -> Self {
        Self { make: None, made: OnceLock::from(schema) }
    }
}

impl Serialize for Schema {
    /// Whoever lists all operations leaves nothing behind: what is made for this is not kept.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.made.get(), self.make) {
            (None, Some(make)) => make().serialize(serializer),
            _ => Value::serialize(self, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from)
    }
}

impl schemars::JsonSchema for Schema {
    fn inline_schema() -> bool {
        Value::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        Value::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Value::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_is_made_when_it_is_looked_at_and_told_without_being_kept() {
        let schema = Schema::of(|| json!({ "type": "object" }));
        assert_eq!(serde_json::to_value(&schema).unwrap(), json!({ "type": "object" }));
        assert!(schema.made.get().is_none());
        assert_eq!(schema["type"], "object");
        assert!(schema.made.get().is_some());
        let told: Schema = serde_json::from_value(json!({ "type": "string" })).unwrap();
        assert_eq!(serde_json::to_value(&told).unwrap(), json!({ "type": "string" }));
        assert_eq!(*Schema::default(), Value::Null);
    }
}
