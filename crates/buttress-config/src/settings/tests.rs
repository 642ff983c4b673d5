//! What settings show is what they are, whatever they are.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use super::setting::{Definitions, Setting};
use super::units::{Rate, Time, duration};
use super::{Settings, Share, Size};
use crate::problem::Reporter;
use crate::schema;
use crate::source::{At, Node};
use proptest::prelude::*;
use proptest::string::string_regex;
use serde_json::{Map, Value};
use std::time::Duration;

fn read<T: Setting>(node: Node) -> Result<T, String> {
    let mut report = Reporter::default();
    let read = T::read(&At::new(node), &mut report);
    match (read, report.has_errors()) {
        (Some(read), false) => Ok(read),
        _ => Err(report.finish("test", "").to_string()),
    }
}

fn text(text: &str) -> Node {
    Node::Text(text.to_owned())
}

/// The node that a value is, by way of its text.
fn parsed(value: &str, parse: fn(&str, &mut Reporter) -> At<Node>) -> Node {
    let mut report = Reporter::default();
    let node = parse(value, &mut report).into_inner();
    assert!(
        !report.has_errors(),
        "{value}\n{}",
        report.finish("test", value)
    );
    node
}

/// Values that a schema allows.
fn allowed(schema: &Value, definitions: &Definitions) -> BoxedStrategy<Value> {
    let list = |name: &str| schema.get(name).and_then(Value::as_array);
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let name = name.strip_prefix("#/definitions/").unwrap();
        return allowed(&definitions[name], definitions);
    }
    if let Some(all) = list("allOf") {
        return allowed(&all[0], definitions);
    }
    if let Some(forms) = list("anyOf") {
        // Text with a choice's name in front allows more than can be read.
        let forms = forms.iter().filter(|form| {
            let pattern = form.get("pattern").and_then(Value::as_str);
            pattern.is_none_or(|pattern| pattern.ends_with('$'))
        });
        let forms: Vec<_> = forms.map(|form| allowed(form, definitions)).collect();
        return proptest::strategy::Union::new(forms).boxed();
    }
    if let Some(names) = list("enum") {
        return proptest::sample::select(names.clone()).boxed();
    }
    if let Some(value) = schema.get("const") {
        return Just(value.clone()).boxed();
    }
    match schema["type"].as_str().unwrap() {
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        "number" => (0.0..1e9).prop_map(Value::from).boxed(),
        "integer" => {
            let most = schema
                .get("maximum")
                .and_then(Value::as_i64)
                .unwrap_or(i64::MAX);
            (0..=most).prop_map(Value::from).boxed()
        }
        "string" => {
            let pattern = schema
                .get("pattern")
                .and_then(Value::as_str)
                .unwrap_or("^.{0,8}$");
            let pattern = pattern.trim_start_matches('^').trim_end_matches('$');
            // Not for ever.
            let pattern = pattern.replace("]*", "]{0,2}").replace("]+", "]{1,3}");
            let pattern = pattern
                .replace(")+", "){1,2}")
                .replace(" *", " ?")
                .replace(" +", " {1,2}");
            string_regex(&pattern)
                .unwrap()
                .prop_filter("a rate is of some time", |text| !is_of_no_time(text))
                .prop_map(Value::from)
                .boxed()
        }
        "array" => {
            let items = allowed(&schema["items"], definitions);
            let items = prop::collection::vec(items, 0..3);
            items.prop_map(Value::from).boxed()
        }
        "object" => object(schema, definitions),
        other => panic!("{other}"),
    }
}

/// A rate for which a schema has no form: so much in no time.
fn is_of_no_time(text: &str) -> bool {
    let period = text.rsplit_once('/').or_else(|| text.rsplit_once("per"));
    period.is_some_and(|(_, period)| duration(period) == Some(Duration::ZERO))
}

fn object(schema: &Value, definitions: &Definitions) -> BoxedStrategy<Value> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        let values = allowed(&schema["additionalProperties"], definitions);
        let named = prop::collection::btree_map("[a-z][a-z0-9-]{0,5}", values, 0..3);
        return named
            .prop_map(|named| Value::Object(named.into_iter().collect()))
            .boxed();
    };
    let required = schema["required"].as_array().unwrap();
    let mut fields = Just(Map::new()).boxed();
    for (name, schema) in properties {
        let value = allowed(schema, definitions);
        let value = if required.contains(&Value::from(name.as_str())) {
            value.prop_map(Some).boxed()
        } else {
            prop::option::weighted(0.3, value).boxed()
        };
        let name = name.clone();
        fields = (fields, value)
            .prop_map(move |(mut fields, value)| {
                fields.extend(value.map(|value| (name.clone(), value)));
                fields
            })
            .boxed();
    }
    fields.prop_map(Value::Object).boxed()
}

fn any_settings() -> BoxedStrategy<Value> {
    let schema = schema();
    let definitions = schema["definitions"].as_object().unwrap();
    allowed(&schema["allOf"][0], definitions)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Also, what the schema allows can be read.
    #[test]
    fn what_is_shown_reads_back_as_the_same(file in any_settings()) {
        let settings: Settings = read(parsed(&file.to_string(), crate::source::json)).unwrap();

        let json = settings.to_json().to_string();
        let again: Settings = read(parsed(&json, crate::source::json)).unwrap();
        prop_assert_eq!(&again, &settings, "{}", json);

        #[cfg(feature = "yaml")]
        {
            let again: Settings = read(parsed(&json, crate::source::yaml)).unwrap();
            prop_assert_eq!(&again, &settings, "{}", json);
        }

        let toml = settings.to_toml();
        let again: Settings = read(parsed(&toml, crate::source::toml)).unwrap();
        prop_assert_eq!(&again, &settings, "{}", toml);
    }

    #[test]
    fn a_time_that_is_shown_reads_back(seconds in 0_u64..1 << 40, nanoseconds in 0_u32..1_000_000_000) {
        let time = Duration::new(seconds, nanoseconds);
        prop_assert_eq!(duration(&Time(time).to_string()), Some(time));
    }

    #[test]
    fn no_text_is_too_strange_for_a_time(text in ".*") {
        _ = duration(&text);
    }
}

#[test]
fn times_are_read_as_people_write_them() {
    let cases = [
        ("250ms", 250_000),
        ("2s", 2_000_000),
        ("1m30s", 90_000_000),
        ("1m 30s", 90_000_000),
        ("1.5s", 1_500_000),
        ("2 minutes", 120_000_000),
        ("1h", 3_600_000_000),
        ("7us", 7),
        ("7µs", 7),
        ("1d", 86_400_000_000),
        ("0s", 0),
        ("0", 0),
        (" 3s ", 3_000_000),
    ];
    for (written, microseconds) in cases {
        assert_eq!(
            duration(written),
            Some(Duration::from_micros(microseconds)),
            "{written}"
        );
    }
    let nonsense = [
        "",
        " ",
        "s",
        "2",
        "2x",
        "-2s",
        "2s3",
        "1.s",
        ".5s",
        "1..5s",
        "1e3s",
        "2 s s",
        "99999999999999999999999999999999999999999d",
    ];
    for written in nonsense {
        assert_eq!(duration(written), None, "{written}");
    }
}

#[test]
fn rates_are_read_as_people_write_them() {
    let cases = [
        ("100/s", 100, 1),
        ("5 per minute", 5, 60),
        ("1000/h", 1_000, 3_600),
        ("10 per 30s", 10, 30),
        ("10/30s", 10, 30),
        ("1_000 / day", 1_000, 86_400),
        ("7 per 1m30s", 7, 90),
    ];
    for (written, calls, seconds) in cases {
        let period = Duration::from_secs(seconds);
        assert_eq!(read(text(written)), Ok(Rate { calls, period }), "{written}");
    }
    for written in [
        "",
        "100",
        "/s",
        "100/",
        "100 s",
        "-1/s",
        "1.5/s",
        "99999999999/s",
        "5 pro s",
        "100/minutes",
        "5 per secs",
        "5/days",
        "5/ns",
    ] {
        assert!(read::<Rate>(text(written)).is_err(), "{written}");
    }
}

/// Editors go by the schema, and the program by what it reads.
#[test]
fn the_schema_allows_the_units_that_are_read() {
    let pattern = |schema: Value| regex::Regex::new(schema["pattern"].as_str().unwrap()).unwrap();
    let rates = pattern(Rate::schema(&mut Definitions::new()));
    let times = pattern(Duration::schema(&mut Definitions::new()));
    let units = [
        "", "0", "ns", "us", "µs", "μs", "ms", "s", "sec", "secs", "second", "seconds", "m", "min",
        "mins", "minute", "minutes", "h", "hour", "hours", "d", "day", "days", "w", "5",
    ];
    for unit in units {
        for written in [
            unit.to_owned(),
            format!("5{unit}"),
            format!("5 {unit} 7{unit}"),
        ] {
            let well = read::<Duration>(text(&written)).is_ok();
            assert_eq!(times.is_match(&written), well, "{written}");
            for rate in [format!("9/{written}"), format!("9 per {written}")] {
                let well = read::<Rate>(text(&rate)).is_ok();
                assert_eq!(rates.is_match(&rate), well, "{rate}");
            }
        }
    }
}

#[test]
fn sizes_and_shares_are_read_as_people_write_them() {
    assert_eq!(read(text("64KiB")), Ok(Size(64 * 1024)));
    assert_eq!(read(text("2 MB")), Ok(Size(2_000_000)));
    assert_eq!(read(Node::Integer(17)), Ok(Size(17)));
    for written in ["64", "KiB", "-1KiB", "1.5KiB", "99999999999999999999GiB"] {
        assert!(read::<Size>(text(written)).is_err(), "{written}");
    }
    assert_eq!(read(text("20%")), Ok(Share(0.2)));
    assert_eq!(read(Node::Float(0.2)), Ok(Share(0.2)));
    assert_eq!(read(Node::Integer(1)), Ok(Share(1.0)));
    for written in ["20", "%", "NaN%", "inf%"] {
        assert!(read::<Share>(text(written)).is_err(), "{written}");
    }
    assert!(read::<Share>(Node::Float(f64::NAN)).is_err());
}
