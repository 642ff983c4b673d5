//! What a file may look like, for editors.

use crate::settings::{Definitions, Setting, Settings};
use serde_json::{Value, json};

/// The file's JSON Schema, of draft 7, which editors know best.
///
/// Editors complete fields by it, show what they mean, and mark what cannot be. It knows no ranges
/// and nothing of how settings fit together: that is what [`Document`](crate::Document) checks.
///
/// ```
/// let schema = buttress_config::schema();
/// assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
/// ```
pub fn schema() -> Value {
    let mut definitions = Definitions::new();
    let root = Settings::schema(&mut definitions);
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Resilience per route and per upstream",
        "allOf": [root],
        "definitions": definitions,
    })
}
