//! The schema that editors read fits the files that they write.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress_config::source::Node;
use buttress_config::{Document, Format, schema};
use serde_json::{Value, json};

/// What is wrong with a value by a schema, for those words of JSON Schema that ours has.
fn wrong(value: &Value, schema: &Value, root: &Value, path: &str) -> Vec<String> {
    let refuse = |what: &str| vec![format!("{path} {what}")];
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let name = name.strip_prefix("#/definitions/").unwrap();
        return wrong(value, &root["definitions"][name], root, path);
    }
    if let Some(all) = schema.get("allOf") {
        let all = all.as_array().unwrap().iter();
        return all
            .flat_map(|schema| wrong(value, schema, root, path))
            .collect();
    }
    if let Some(forms) = schema.get("anyOf") {
        let forms = forms.as_array().unwrap().iter();
        let wrong: Vec<_> = forms.map(|form| wrong(value, form, root, path)).collect();
        return if wrong.iter().any(Vec::is_empty) {
            Vec::new()
        } else {
            wrong
                .into_iter()
                .max_by_key(|wrong| wrong[0].len())
                .unwrap()
        };
    }
    if let Some(names) = schema.get("enum") {
        let known = names.as_array().unwrap().contains(value);
        return if known {
            Vec::new()
        } else {
            refuse("is none of these")
        };
    }
    if let Some(only) = schema.get("const") {
        return if only == value {
            Vec::new()
        } else {
            refuse("is something else")
        };
    }
    let Some(kind) = schema.get("type").and_then(Value::as_str) else {
        return Vec::new();
    };
    let well = match kind {
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.as_i64().is_some_and(|number| {
            let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
            bound("minimum").is_none_or(|least| number >= least)
                && bound("maximum").is_none_or(|most| number <= most)
        }),
        "string" => value.as_str().is_some_and(|text| {
            let pattern = schema.get("pattern").and_then(Value::as_str);
            pattern.is_none_or(|pattern| regex::Regex::new(pattern).unwrap().is_match(text))
        }),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other}"),
    };
    if !well {
        return refuse(&format!("is no {kind} of this form"));
    }
    if let Some(items) = value.as_array() {
        let items = items.iter().enumerate();
        let wrong = items.flat_map(|(index, item)| {
            wrong(item, &schema["items"], root, &format!("{path}[{index}]"))
        });
        return wrong.collect();
    }
    let Some(fields) = value.as_object() else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for (name, value) in fields {
        let path = format!("{path}.{name}");
        let known = schema.get("properties").and_then(|known| known.get(name));
        match (known, &schema["additionalProperties"]) {
            (Some(known), _) => all.extend(wrong(value, known, root, &path)),
            (None, Value::Bool(false)) if !name.starts_with("x-") => {
                all.push(format!("{path} is not known"));
            }
            (None, Value::Bool(false)) => {}
            (None, others) => all.extend(wrong(value, others, root, &path)),
        }
    }
    let required = schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            all.push(format!("{path}.{name} is missing"));
        }
    }
    all
}

fn as_json(text: &str) -> Value {
    let document = Document::parse("test.toml", text, Format::Toml);
    let document = document.unwrap_or_else(|problems| panic!("{problems}"));
    let root: &Node = document.root();
    root.into()
}

#[test]
fn the_example_file_is_as_the_schema_says() {
    let (value, schema) = (
        as_json(include_str!("../../../docs/resilience.toml")),
        schema(),
    );
    assert_eq!(wrong(&value, &schema, &schema, ""), Vec::<String>::new());
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let schema = schema();
    let cases = [
        json!({ "sever": {} }),
        json!({ "server": { "defaults": { "deadline": "soon" } } }),
        json!({ "server": { "defaults": { "bulkhead": true } } }),
        json!({ "server": { "route": [{ "timeout": "1s" }] } }),
        json!({ "server": { "defaults": { "rate_limit": "often" } } }),
        json!({ "upstream": { "u": { "circuit_breaker": { "overload": "maybe" } } } }),
        json!({ "upstream": { "u": { "retry": { "attempts": -1 } } } }),
    ];
    for case in cases {
        assert!(!wrong(&case, &schema, &schema, "").is_empty(), "{case}");
        let read = Document::parse("test.json", &case.to_string(), Format::Json);
        assert!(read.is_err(), "{case}");
    }
}

#[test]
fn every_field_says_what_it_means() {
    let schema = schema();
    for (name, table) in schema["definitions"].as_object().unwrap() {
        let objects = match table.get("anyOf") {
            Some(forms) => forms.as_array().unwrap().iter().collect(),
            None => vec![table],
        };
        for object in objects {
            let properties = object.get("properties").and_then(Value::as_object);
            for (field, property) in properties.into_iter().flatten() {
                let description = property["description"].as_str().unwrap_or_default();
                assert!(
                    description.ends_with('.'),
                    "{name}.{field}: {description:?}"
                );
            }
        }
    }
}

/// The example has every setting, so that one can be looked up there.
#[test]
fn the_example_file_has_every_setting() {
    let example = include_str!("../../../docs/resilience.toml");
    let words: Vec<_> = example
        .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')))
        .collect();
    let schema = schema();
    let mut missing = Vec::new();
    for (name, table) in schema["definitions"].as_object().unwrap() {
        let forms = table.get("anyOf").and_then(Value::as_array);
        let objects = forms.map_or_else(|| vec![table], |forms| forms.iter().collect());
        for object in objects {
            let properties = object.get("properties").and_then(Value::as_object);
            let fields = properties.into_iter().flatten().map(|(field, _)| field);
            missing.extend(
                fields
                    .filter(|field| !words.contains(&field.as_str()))
                    .map(|field| format!("{name}.{field}")),
            );
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn the_files_in_the_manual_are_fine() {
    let manual = include_str!("../../../docs/configuration.md");
    let mut blocks = manual.split("```toml\n").skip(1);
    assert!(blocks.clone().count() > 0);
    assert!(blocks.all(|block| {
        let text = block.split("```").next().unwrap();
        Document::parse("configuration.md", text, Format::Toml)
            .is_ok_and(|document| document.warnings().is_empty())
    }));
}
