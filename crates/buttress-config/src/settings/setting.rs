use crate::problem::Reporter;
use crate::source::{At, Node, Span, Table};
use serde_json::{Map, Value, json};

/// Something that a file can say: how it is read, described and shown.
pub(crate) trait Setting: Sized {
    /// Reads it, and reports all that is wrong with it. `None` only if something was reported.
    fn read(node: &At<Node>, report: &mut Reporter) -> Option<Self>;

    /// The same where the file only says that it is wanted: `pressure = true`.
    fn read_wanted(node: &At<Node>, report: &mut Reporter) -> Option<Self> {
        report.error(node.span(), "says nothing without a value");
        None
    }

    /// What it may look like, as a JSON Schema. Tables go into `definitions`.
    fn schema(definitions: &mut Definitions) -> Value;

    /// As it would stand in a file.
    fn show(&self) -> Value;

    /// Where the setting stands that a builder calls `field`, and its path from here.
    fn find(&self, field: &str) -> Option<(String, Span)> {
        let _ = field;
        None
    }

    /// Something that fits nearly everywhere, for what is required and makes no sense: so that what
    /// stands beside it can be looked at as well.
    fn stand_in() -> Option<Self> {
        None
    }

    /// Leaves out the field of that path, or the smallest table with it that can be left out. What
    /// cannot be left out becomes its [stand-in](Self::stand_in). Returns whether something was done.
    fn forget(&mut self, path: &str) -> bool {
        let _ = path;
        false
    }
}

/// A table of fields with fixed names. Its fields may stand in another table.
pub(crate) trait Fields: Setting {
    /// The names, with those of tables that stand in this one.
    fn names() -> &'static [&'static str];

    /// Reads the fields, and leaves those of other names alone. `span` is the table's.
    fn read_fields(table: &Table, span: Span, report: &mut Reporter) -> Option<Self>;

    /// Adds what the fields may look like.
    fn describe(object: &mut ObjectSchema, definitions: &mut Definitions);

    /// Adds the fields that are set.
    fn show_fields(&self, shown: &mut Map<String, Value>);
}

/// The tables that schemas refer to.
pub(crate) type Definitions = Map<String, Value>;

/// The schema of a table in the making.
#[derive(Default)]
pub(crate) struct ObjectSchema {
    properties: Map<String, Value>,
    required: Vec<Value>,
}

impl ObjectSchema {
    pub(crate) fn add(&mut self, name: &str, docs: &[&str], required: bool, schema: Value) {
        // Older drafts, which editors still use, see nothing beside a `$ref`.
        let mut field = match schema.get("$ref") {
            Some(_) => json!({ "allOf": [schema] }),
            None => schema,
        };
        if let Value::Object(field) = &mut field {
            field.insert("description".into(), prose(docs).into());
        }
        self.properties.insert(name.to_owned(), field);
        if required {
            self.required.push(name.into());
        }
    }

    fn finish(self, docs: &[&str]) -> Value {
        json!({
            "type": "object",
            "description": prose(docs),
            "properties": self.properties,
            "required": self.required,
            // What belongs to the application.
            "patternProperties": { "^x-": {} },
            "additionalProperties": false,
        })
    }
}

/// The lines of a doc comment as one text.
pub(crate) fn prose(docs: &[&str]) -> String {
    let lines: Vec<_> = docs.iter().map(|line| line.trim()).collect();
    lines.join(" ").trim().to_owned()
}

/// Fields of these names belong to the application.
pub(crate) fn is_foreign(name: &str) -> bool {
    name.starts_with("x-")
}

/// Reads a table, or its shorthand where it has one, and reports fields that there are not.
pub(crate) fn read_table<T: Fields>(
    node: &At<Node>,
    shorthand: Option<&'static str>,
    report: &mut Reporter,
) -> Option<T> {
    let nothing = Table::default();
    let table = match (&**node, shorthand) {
        (Node::Table(table), _) => table,
        (Node::Null, None) => &nothing,
        (_, Some(field)) => {
            let mut table = Table::default();
            table.push(At::at(field.to_owned(), node.span()), node.clone());
            return T::read_fields(&table, node.span(), report);
        }
        _ => {
            report.unfit(node, "a table");
            return None;
        }
    };
    for (key, _) in table.iter().filter(|(key, _)| !is_foreign(key)) {
        let names = T::names();
        if !names.contains(&key.as_str()) {
            report.field(key, |report| {
                let meant = report.nearest(key, names);
                let problem = report.error(key.span(), "is not a field that there is here");
                if meant.is_none() {
                    problem.must_be(format_args!("one of {}", names.join(", ")));
                }
                problem.meant(meant);
            });
        }
    }
    T::read_fields(table, node.span(), report)
}

pub(crate) fn wanted<T: Fields>(node: &At<Node>, report: &mut Reporter) -> Option<T> {
    T::read_fields(&Table::default(), node.span(), report)
}

pub(crate) fn schema_of<T: Fields>(
    name: &str,
    docs: &[&str],
    shorthand: Option<&'static str>,
    definitions: &mut Definitions,
) -> Value {
    if !definitions.contains_key(name) {
        let mut object = ObjectSchema::default();
        T::describe(&mut object, definitions);
        let short = shorthand.and_then(|field| object.properties.get(field).cloned());
        let object = object.finish(docs);
        let schema = match short {
            Some(short) => json!({ "anyOf": [short, object] }),
            None => object,
        };
        definitions.insert(name.to_owned(), schema);
    }
    json!({ "$ref": format!("#/definitions/{name}") })
}

pub(crate) fn read_required<T: Setting>(
    table: &Table,
    name: &'static str,
    span: Span,
    report: &mut Reporter,
) -> Option<At<T>> {
    if table.get(name).is_none_or(|node| **node == Node::Null) {
        report.field(name, |report| {
            report.error(span, "is missing");
        });
        report.leave_unread(span, name);
    }
    let read = read_optional(table, name, span, report);
    read.or_else(|| T::stand_in().map(At::new))
}

/// The same, where nothing may stand in: what is read is the default then, and stands nowhere.
pub(crate) fn read_expected<T: Setting + Default>(
    table: &Table,
    name: &'static str,
    span: Span,
    report: &mut Reporter,
) -> At<T> {
    read_required(table, name, span, report).unwrap_or_default()
}

/// A field that is there and cannot be read is one that is not there, and a problem.
pub(crate) fn read_optional<T: Setting>(
    table: &Table,
    name: &'static str,
    span: Span,
    report: &mut Reporter,
) -> Option<At<T>> {
    let node = table.get(name)?;
    if **node == Node::Null {
        report.leave_empty(span, name);
        return None;
    }
    let value = report.field(name, |report| T::read(node, report));
    if value.is_none() {
        report.leave_unread(span, name);
    }
    value.map(|value| At::at(value, node.span()))
}

pub(crate) fn find_in<T: Setting>(
    setting: &At<T>,
    name: &str,
    aliases: &[&str],
    field: &str,
) -> Option<(String, Span)> {
    if field == name || aliases.contains(&field) {
        return Some((name.to_owned(), setting.span()));
    }
    let (first, rest) = field.split_once('.')?;
    if first != name && !aliases.contains(&first) {
        return None;
    }
    let deeper = setting.find(rest);
    let (path, span) = deeper.unwrap_or_else(|| (String::new(), setting.span()));
    Some((joined(name, &path), span))
}

/// Looks below a field for one that its own names don't tell.
pub(crate) fn find_below<T: Setting>(
    setting: &At<T>,
    name: &str,
    field: &str,
) -> Option<(String, Span)> {
    let (path, span) = setting.find(field)?;
    Some((joined(name, &path), span))
}

fn joined(name: &str, path: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{name}.{path}")
    }
}

/// Puts the stand-in in the place of a value. Returns whether it is another one.
pub(crate) fn replace<T: Setting + PartialEq>(value: &mut T, path: &str) -> bool {
    match T::stand_in().filter(|_| path.is_empty()) {
        Some(other) if *value != other => {
            *value = other;
            true
        }
        _ => false,
    }
}

/// What is left of a path below a field, if it goes through there.
pub(crate) fn below<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(name)?;
    if rest.is_empty() {
        Some(rest)
    } else {
        rest.strip_prefix('.')
    }
}

/// Whether a table with this schema may be empty, so that it is enough to say that it is wanted.
pub(crate) fn may_be_empty(schema: &Value, definitions: &Definitions) -> bool {
    let name = schema.get("$ref").and_then(Value::as_str);
    let name = name.and_then(|name| name.strip_prefix("#/definitions/"));
    if let Some(definition) = name.and_then(|name| definitions.get(name)) {
        return may_be_empty(definition, definitions);
    }
    let required = schema.get("required").and_then(Value::as_array);
    let forms = schema.get("anyOf").and_then(Value::as_array);
    required.is_some_and(Vec::is_empty)
        || forms.is_some_and(|forms| forms.iter().any(|form| may_be_empty(form, definitions)))
}
