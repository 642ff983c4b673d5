//! TOML, YAML and JSON say the same, and say where something is wrong with them.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress_config::source::LONGEST_FILE;
use buttress_config::{Document, Format, Problems};

const TOML: &str = r#"
[server.defaults]
deadline = "10s"
[[server.route]]
match = { method = "GET", path = "/users/{id}", header = { x-tier = "gold" } }
bulkhead = { limit = 64, waiting_room = { places = 16, longest_wait = "50ms" } }
timeout = false
[upstream.payments]
retry = { attempts = 2, backoff = { factor = 1.5 } }
"#;

#[cfg(feature = "yaml")]
const YAML: &str = r#"
# The same.
server:
  defaults: { deadline: 10s }
  route:
    - match:
        method: GET
        path: /users/{id}
        header: { x-tier: "gold" }
      bulkhead:
        limit: 64
        waiting_room:
          places: 0x10
          longest_wait: '50ms'
      timeout: false
upstream:
  payments:
    retry: { attempts: 2, backoff: { factor: 1.5 } }
"#;

const JSON: &str = r#"{
  "server": {
    "defaults": { "deadline": "10s" },
    "route": [{
      "match": { "method": "GET", "path": "\/users\/{id}", "header": { "x-tier": "\u0067old" } },
      "bulkhead": { "limit": 64, "waiting_room": { "places": 16, "longest_wait": "50ms" } },
      "timeout": false
    }]
  },
  "upstream": { "payments": { "retry": { "attempts": 2, "backoff": { "factor": 1.5 } } } }
}"#;

fn read(text: &str, format: Format) -> Document {
    match Document::parse("test", text, format) {
        Ok(document) => document,
        Err(problems) => panic!("{problems}"),
    }
}

fn refused(text: &str, format: Format) -> Problems {
    match Document::parse("test", text, format) {
        Ok(document) => panic!("{:?}", document.settings()),
        Err(problems) => problems,
    }
}

/// `line:column path what` of the first problem.
fn first(text: &str, format: Format) -> String {
    let problems = refused(text, format);
    let problem = problems.iter().next().unwrap();
    let (line, column) = (problem.line, problem.column);
    format!("{line}:{column} {} {}", problem.path, problem.what)
}

#[test]
fn all_three_say_the_same() {
    let toml = read(TOML, Format::Toml);
    #[cfg(feature = "yaml")]
    assert_eq!(read(YAML, Format::Yaml).settings(), toml.settings());
    assert_eq!(read(JSON, Format::Json).settings(), toml.settings());
}

#[test]
fn the_ending_says_which_it_is() {
    assert_eq!(Format::of("a/b.toml".as_ref()), Format::Toml);
    assert_eq!(Format::of("a/b.YML".as_ref()), Format::Yaml);
    assert_eq!(Format::of("b.yaml".as_ref()), Format::Yaml);
    assert_eq!(Format::of("b.json".as_ref()), Format::Json);
    assert_eq!(Format::of("b".as_ref()), Format::Toml);
}

#[test]
fn places_are_found_behind_letters_of_several_bytes() {
    let toml = "[server.defaults]\n\"x-häuser\" = \"ß\"\ndeadlin = \"10s\"\n";
    assert!(first(toml, Format::Toml).starts_with("3:1 server.defaults.deadlin "));
    let json = "{ \"x-häuser\": \"ßß\", \"serve\": {} }";
    assert!(first(json, Format::Json).starts_with("1:21 serve "));
    #[cfg(feature = "yaml")]
    {
        let yaml = "x-häuser: ßß\nserver: { x-ü: ü, defaults: { deadlin: 10s } }\n";
        assert!(first(yaml, Format::Yaml).starts_with("2:31 server.defaults.deadlin "));
    }
}

#[test]
fn syntax_errors_of_json_are_found_where_they_are() {
    let cases = [
        ("", "0:0  ends where a value is expected"),
        ("{", "1:2  ends where a name in quotes is expected"),
        (
            "{ \"server\": {}, }",
            "1:17  has '}' where a name in quotes is expected",
        ),
        (
            "{ \"server\": {} } {}",
            "1:18  stands behind the end of the value",
        ),
        (
            "{ \"server\": {},\n \"server\": {} }",
            "2:2  is \"server\", which is there twice",
        ),
        ("{ \"x-a\": 01 }", "1:10  is 01, which is no number"),
        (
            "{ \"x-a\": \"\\q\" }",
            "1:10  is no text: it has an escape that there is not",
        ),
        (
            "{ \"x-a\": \"open }",
            "1:17  ends where the quote that ends the text is expected",
        ),
        (
            "{ \"x-a\": nothing }",
            "1:10  has 'n' where a value is expected",
        ),
        (
            "{ 'x-a': 1 }",
            "1:3  has '\\'' where a name in quotes is expected",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(first(text, Format::Json), expected, "{text}");
    }
}

/// Some editors begin a file with it.
#[test]
fn a_byte_order_mark_in_front_says_nothing() {
    let marked = |text: &str| format!("\u{feff}{text}");
    assert_eq!(
        read(&marked(TOML), Format::Toml).settings(),
        read(&marked(JSON), Format::Json).settings()
    );
    #[cfg(feature = "yaml")]
    assert_eq!(
        read(&marked(YAML), Format::Yaml).settings(),
        read(YAML, Format::Yaml).settings()
    );
    let twice = format!("\u{feff}\u{feff}{JSON}");
    assert!(!refused(&twice, Format::Json).is_empty());
    // Places are counted with it.
    let found = first(&marked("{ \"serve\": {} }"), Format::Json);
    assert!(found.starts_with("1:4 serve "), "{found}");
}

#[cfg(feature = "yaml")]
#[test]
fn numbers_of_yaml_to_other_bases_have_no_sign() {
    let places =
        |number: &str| format!("upstream: {{ u: {{ bulkhead: {{ limit: {number} }} }} }}\n");
    for well in ["0x10", "0o20", "16", "+16"] {
        let document = read(&places(well), Format::Yaml);
        let upstream = document.settings().effective_upstream("u").unwrap();
        let limit = upstream.bulkhead.as_deref().unwrap().on().unwrap().limit;
        assert_eq!(*limit, 16, "{well}");
    }
    for bad in ["-0x10", "+0x10", "0x-10", "0x+10", "-0o20", "0xG"] {
        let problems = refused(&places(bad), Format::Yaml);
        let shown = problems.to_string();
        assert!(shown.contains(&format!("is \"{bad}\"")), "{shown}");
    }
}

/// As the manual says.
#[test]
fn of_a_broken_file_the_first_mistake_is_reported_and_in_toml_each() {
    let json = "{ \"server\": { \"defaults\": { \"deadlin\": nothing } },\n \"server\" }";
    assert_eq!(refused(json, Format::Json).len(), 1);
    #[cfg(feature = "yaml")]
    {
        let yaml = "server: { defaults: { deadlin: 'open }\nupstream: [\n";
        assert_eq!(refused(yaml, Format::Yaml).len(), 1);
    }
    let toml = "[server.defaults]\ntimeout = = '1s'\ndeadlin = '1s'\n[upstream.u]\nretry = \n";
    let problems = refused(toml, Format::Toml);
    let lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [2, 2, 3, 5], "{problems}");
    // Nor is a default taken for what could not be read.
    let toml = "[upstream.u]\ntimeout = = '1m'\nattempt_timeout = '12s'\nretry = false\n";
    assert!(
        refused(toml, Format::Toml)
            .iter()
            .all(|problem| problem.line == 2)
    );
}

#[test]
fn what_is_twice_in_toml_is_refused() {
    assert!(first("[server]\n[server]\n", Format::Toml).starts_with("2:"));
    assert!(
        first(
            "[server.defaults]\ndeadline = '1s'\ndeadline = '2s'\n",
            Format::Toml
        )
        .starts_with("3:")
    );
}

#[cfg(feature = "yaml")]
#[test]
fn yaml_that_could_be_endless_is_refused() {
    let laughs = "x-a: &a [1]\nx-b: &b [*a, *a]\n";
    let problems = refused(laughs, Format::Yaml);
    let what: Vec<_> = problems
        .iter()
        .map(|problem| problem.what.as_str())
        .collect();
    assert!(what[0].starts_with("has an anchor"), "{what:?}");
    assert!(
        what.iter().any(|what| what.starts_with("is an alias")),
        "{what:?}"
    );
}

#[cfg(feature = "yaml")]
#[test]
fn mistakes_in_yaml_are_found_where_they_are() {
    let cases = [
        (
            "server: {}\nserver: {}\n",
            "2:1  is \"server\", which is there twice",
        ),
        ("--- {}\n--- {}\n", "2:1  begins a second document"),
        ("x-a: !thing 1\n", "1:6  has the tag"),
        ("server: [\n", "2:1 "),
        ("? [a]\n: 1\n", "1:3  is a list"),
    ];
    for (text, expected) in cases {
        let found = first(text, Format::Yaml);
        assert!(found.starts_with(expected), "{text}: {found}");
    }
}

#[cfg(feature = "yaml")]
#[test]
fn fields_of_yaml_that_are_left_empty_say_nothing() {
    let document = read("server:\nupstream:\n  payments:\n", Format::Yaml);
    assert!(document.settings().server.is_none());
    assert!(document.settings().effective_upstream("payments").is_some());
}

#[test]
fn a_file_has_bounds() {
    let long = " ".repeat(LONGEST_FILE + 1);
    let deep = |open: &str, close: &str| {
        format!(
            "{}{}{}",
            "[".repeat(5_000).replace('[', open),
            "1",
            "]".repeat(5_000).replace(']', close)
        )
    };
    for format in [Format::Toml, Format::Json, Format::Yaml] {
        let problems = refused(&long, format);
        assert!(
            problems.to_string().contains("the file has 4194305 bytes"),
            "{problems}"
        );
    }
    assert!(!refused(&format!("x-a = {}", deep("[", "]")), Format::Toml).is_empty());
    assert!(!refused(&deep("[", "]"), Format::Json).is_empty());
    assert!(!refused(&deep("{\"a\":", "}"), Format::Json).is_empty());
    #[cfg(feature = "yaml")]
    assert!(!refused(&deep("[", "]"), Format::Yaml).is_empty());
}

/// Also if the bound is inside of a character.
#[test]
fn a_file_that_is_too_long_is_refused_for_that() {
    let path = std::env::temp_dir().join(format!("buttress-long-{}.toml", std::process::id()));
    let load = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let problems = Document::load(&path).map(drop).unwrap_err().to_string();
        std::fs::remove_file(&path).unwrap();
        problems
    };
    let long = "ä".repeat(LONGEST_FILE / 2 + 1);
    assert!(!long.is_char_boundary(LONGEST_FILE + 1));
    let problems = load(long.as_bytes());
    assert!(
        problems.contains("the file cannot be read: it has more than 4194304 bytes"),
        "{problems}"
    );
    let problems = load(b"# \xff\n");
    assert!(
        problems.contains("it is not UTF-8: byte 3 begins no character"),
        "{problems}"
    );
}

#[test]
fn a_file_that_is_not_there_is_a_problem_of_the_file() {
    let problems = Document::load("does/not/exist.toml".as_ref()).unwrap_err();
    let text = problems.to_string();
    assert!(
        text.starts_with("error: the file cannot be read: "),
        "{text}"
    );
    assert!(text.ends_with("--> does/not/exist.toml"), "{text}");
}
