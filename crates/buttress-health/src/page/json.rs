//! `application/health+json`, as draft-inadarei-api-health-check has it.

use super::{Mark, View};
use crate::model::Status;
use std::fmt::Write;

pub(super) fn render(view: &View<'_>) -> String {
    let mut json = String::from(r#"{"status":""#);
    json.push_str(match view.status {
        Status::Pass => "pass",
        Status::Warn => "warn",
        Status::Fail => "fail",
    });
    json.push('"');
    let mut notes = Vec::new();
    for name in &view.excluded.known {
        notes.push(format!("excluded: {name}"));
    }
    for name in &view.excluded.unknown {
        notes.push(format!(
            "cannot be excluded, there is no such check: {name}"
        ));
    }
    for (index, note) in notes.iter().enumerate() {
        json.push_str(if index == 0 { r#","notes":["# } else { "," });
        string(&mut json, note);
    }
    if !notes.is_empty() {
        json.push(']');
    }
    json.push_str(r#","checks":{"#);
    let included = view.lines.iter().filter(|line| !view.excluded.holds(line));
    for (index, line) in included.enumerate() {
        if index > 0 {
            json.push(',');
        }
        string(&mut json, &line.name);
        json.push_str(match line.mark {
            Mark::Ok => r#":[{"status":"pass""#,
            Mark::Degraded => r#":[{"status":"warn""#,
            Mark::Failed => r#":[{"status":"fail""#,
        });
        if let Some(reason) = view.reason(line) {
            json.push_str(r#","output":"#);
            string(&mut json, reason);
        }
        json.push_str("}]");
    }
    json.push_str("}}");
    json
}

/// A string as JSON writes it.
fn string(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            control if control < ' ' => {
                // Writing to a string does not fail.
                let _ = write!(json, "\\u{:04x}", u32::from(control));
            }
            other => json.push(other),
        }
    }
    json.push('"');
}
