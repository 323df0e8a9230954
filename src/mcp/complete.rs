//! Completion of what a person types into a client: clusters, namespaces, kinds and names.

use std::collections::HashMap;

use rmcp::model::{CompleteRequestParams, CompletionInfo, Reference};
use serde_json::{Value, json};

use super::{prompts, resources};
use crate::gate::{Client, Request};

/// The values for one argument of a prompt, or one variable of a resource's address.
pub async fn complete(client: &Client, params: &CompleteRequestParams) -> CompletionInfo {
    let argument = params.argument.name.as_str();
    let known = match &params.r#ref {
        Reference::Prompt(prompt) => prompts::has_argument(&prompt.name, argument),
        Reference::Resource(resource) => {
            let variable = format!("{{{argument}}}");
            resources::templates().iter().any(|t| t.uri_template == resource.uri)
                && resource.uri.contains(&variable)
        }
        _ => false,
    };
    let mut given = params.context.as_ref().and_then(|c| c.arguments.clone()).unwrap_or_default();
    if let Reference::Resource(resource) = &params.r#ref
        && !resource.uri.contains("{kind}")
    {
        given.insert("kind".to_owned(), "pods".to_owned());
    }
    let all = if known { values(client, argument, &params.argument.value, &given).await } else { Vec::new() };
    select(all, &params.argument.value)
}

/// Everything that fits the argument. What cannot be found out gives no values: completion is a
/// help, and an error in it helps nobody.
async fn values(
    client: &Client,
    argument: &str,
    typed: &str,
    given: &HashMap<String, String>,
) -> Vec<String> {
    let mut arguments = serde_json::Map::new();
    let mut pass = |key: &str| {
        if let Some(value) = given.get(key).filter(|v| !v.is_empty() && *v != "_") {
            arguments.insert(key.to_owned(), json!(value));
        }
    };
    let operation = match argument {
        "cluster" => {
            // Names are known without asking the servers, of which one that is down takes seconds.
            arguments.insert("offline".to_owned(), json!(true));
            "cluster_list"
        }
        "namespace" => {
            pass("cluster");
            arguments.insert("kind".to_owned(), json!("namespaces"));
            "resource_list"
        }
        "kind" => {
            pass("cluster");
            arguments.insert("matching".to_owned(), json!(typed));
            "kind_list"
        }
        "pod" | "name" => {
            pass("cluster");
            pass("namespace");
            let kind =
                if argument == "pod" { "pods" } else { given.get("kind").map_or("pods", String::as_str) };
            arguments.insert("kind".to_owned(), json!(kind));
            if !arguments.contains_key("namespace") {
                arguments.insert("all_namespaces".to_owned(), json!(true));
            }
            "resource_list"
        }
        _ => return Vec::new(),
    };
    if operation == "resource_list" {
        arguments.insert("limit".to_owned(), json!(500));
        arguments.insert("columns".to_owned(), json!(["NAME"]));
    }
    match resources::call(client, Request::new(operation, Value::Object(arguments))).await {
        Ok(output) => names(&output),
        Err(error) => {
            tracing::debug!(%error, operation, "nothing to complete with");
            Vec::new()
        }
    }
}

/// The names in a list's result: of a table its NAME column, otherwise each item's `name`.
fn names(output: &Value) -> Vec<String> {
    let columns = output.get("columns").and_then(Value::as_array);
    let column = columns.and_then(|columns| {
        columns.iter().position(|c| {
            let name = c.get("name").unwrap_or(c).as_str().unwrap_or_default();
            name.eq_ignore_ascii_case("name")
        })
    });
    let lists = output.as_object().into_iter().flatten().filter_map(|(_, v)| v.as_array());
    let mut found = Vec::new();
    for item in lists.flatten() {
        let cells = item.get("cells").unwrap_or(item);
        let name = match (cells, column) {
            (Value::Array(cells), Some(i)) => cells.get(i),
            (Value::Object(map), _) => map.get("name"),
            _ => None,
        };
        if let Some(name) = name.and_then(Value::as_str)
            && !found.iter().any(|f| f == name)
        {
            found.push(name.to_owned());
        }
    }
    // A table's own columns are objects with a name too.
    if let Some(columns) = columns {
        found.retain(|f| !columns.iter().any(|c| c.get("name").and_then(Value::as_str) == Some(f)));
    }
    found
}

/// Those that start with what is typed, then those that contain it.
fn select(all: Vec<String>, typed: &str) -> CompletionInfo {
    let typed = typed.to_lowercase();
    let (mut first, rest): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|v| v.to_lowercase().starts_with(&typed));
    first.sort();
    let mut more: Vec<_> = rest.into_iter().filter(|v| v.to_lowercase().contains(&typed)).collect();
    more.sort();
    first.append(&mut more);
    let total = u32::try_from(first.len()).unwrap_or(u32::MAX);
    let has_more = first.len() > CompletionInfo::MAX_VALUES;
    first.truncate(CompletionInfo::MAX_VALUES);
    CompletionInfo::with_pagination(first, Some(total), has_more).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_tables_and_in_lists() {
        let table = json!({ "columns": [{"name": "NAMESPACE"}, {"name": "NAME"}], "rows": [["a", "x"], ["b", "y"], ["c", "x"]] });
        assert_eq!(names(&table), ["x", "y"]);
        assert_eq!(names(&json!({ "total": 1, "kinds": [{ "name": "pods" }] })), ["pods"]);
    }

    #[test]
    fn prefixes_come_first_and_a_hundred_are_enough() {
        let all = vec!["my-api".to_owned(), "api-2".to_owned(), "web".to_owned(), "api-1".to_owned()];
        assert_eq!(select(all, "API").values, ["api-1", "api-2", "my-api"]);
        let many = select((0..500).map(|i| format!("n{i}")).collect(), "n");
        assert_eq!((many.values.len(), many.total, many.has_more), (100, Some(500), Some(true)));
    }
}
