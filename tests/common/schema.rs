//! A validator for the part of JSON Schema (draft 2020-12) that the published schema uses. A keyword that it doesn't know is a
//! problem, so that nothing is skipped in silence.

use serde_json::Value;

/// What is wrong with a document.
pub fn problems(schema: &Value, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, schema, document, "", &mut found);
    found
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let schema = schema.as_object().expect("a schema is an object");
    let mut wrong = |what: String| found.push(format!("{at}: {what}"));
    let is = |name: &Value| match name.as_str().expect("a type's name") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("unknown type {other}"),
    };
    for (keyword, rule) in schema {
        match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" | "properties" | "additionalProperties" | "items" => {
            }
            "$ref" => {}
            "type" => {
                let any = rule.as_array().map_or_else(|| is(rule), |names| names.iter().any(is));
                if !any {
                    wrong(format!("{value} is no {rule}"));
                }
            }
            "const" if rule == value => {}
            "enum" if rule.as_array().is_some_and(|all| all.contains(value)) => {}
            "const" | "enum" => wrong(format!("{value} is not {rule}")),
            "minimum" if value.as_f64().is_none_or(|value| value >= rule.as_f64().unwrap()) => {}
            "maximum" if value.as_f64().is_none_or(|value| value <= rule.as_f64().unwrap()) => {}
            "minItems"
                if value
                    .as_array()
                    .is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap()) => {}
            "minimum" | "maximum" | "minItems" => wrong(format!("{value} breaks {keyword} {rule}")),
            "required" => {
                for name in rule.as_array().unwrap().iter().filter_map(Value::as_str) {
                    if value.is_object() && value.get(name).is_none() {
                        wrong(format!("{name} is missing"));
                    }
                }
            }
            "pattern" => {
                // Of patterns only hexadecimal numbers of a fixed length are used.
                let length = rule
                    .as_str()
                    .and_then(|text| text.strip_prefix("^[0-9a-f]{")?.strip_suffix("}$"));
                let length: usize = length.expect("a known pattern").parse().unwrap();
                let hex = |text: &str| {
                    text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
                };
                if !value.as_str().is_none_or(hex) {
                    wrong(format!("{value} doesn't match {rule}"));
                }
            }
            other => panic!("unknown keyword {other}"),
        }
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(name.trim_start_matches('#')).expect("a definition");
        check(root, target, value, at, found);
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        for (index, value) in values.iter().enumerate() {
            check(root, items, value, &format!("{at}/{index}"), found);
        }
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        let at = format!("{at}/{name}");
        let known = schema.get("properties").and_then(|all| all.get(name));
        match (known, schema.get("additionalProperties")) {
            (Some(known), _) => check(root, known, value, &at, found),
            (None, Some(Value::Bool(false))) => found.push(format!("{at}: isn't allowed")),
            (None, Some(rest @ Value::Object(_))) => check(root, rest, value, &at, found),
            (None, _) => {}
        }
    }
}
