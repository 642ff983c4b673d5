//! What it takes to find hidden rules, counted: a time would say more about the machine.

use super::hidden::{FEW, MOST_STEPS};
use super::*;

const MANY: usize = 5_000;

fn on(path: &str, host: Option<String>, headers: Vec<(String, String)>) -> Match {
    let headers = headers.into_iter().map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        (name, HeaderValue::from_str(&value).ok())
    });
    Match {
        path: Some(path.to_owned()),
        host,
        headers: headers.collect(),
        ..Match::default()
    }
}

fn named(methods: impl IntoIterator<Item = String>) -> Match {
    let methods = methods.into_iter();
    Match {
        path: Some("/".to_owned()),
        methods: methods
            .map(|name| Method::from_bytes(name.as_bytes()).unwrap())
            .collect(),
        ..Match::default()
    }
}

/// How many are hidden, and the steps that it took to know.
fn looked_through(rules: impl IntoIterator<Item = Match>) -> (usize, usize) {
    let rules: Vec<_> = rules.into_iter().collect();
    let (hidden, steps) = Routes::new(&rules).unwrap().hidden_within(FEW, MOST_STEPS);
    (hidden.len(), steps)
}

/// With one value that is the rule's own.
fn headers(count: usize, rule: usize) -> Vec<(String, String)> {
    let value = |header| if header == 0 { rule } else { 1 };
    let headers = (0..count).map(|header| (format!("x-{header}"), value(header).to_string()));
    headers.collect()
}

#[test]
fn rules_whose_path_nobody_else_has_take_nothing() {
    let host = |rule| Some(format!("h{rule}.a.b.test"));
    let rules = (0..MANY).map(|rule| on(&format!("/{rule}"), host(rule), headers(6, rule)));
    assert_eq!(looked_through(rules), (0, 0));
}

#[test]
fn few_rules_of_a_path_are_compared_each_with_each() {
    let rules = (0..FEW).map(|rule| on("/", None, headers(1, rule)));
    // Two for each that comes before: the rule and its header.
    assert_eq!(looked_through(rules), (0, FEW * FEW + FEW * (FEW - 1) / 2));
}

#[test]
fn thousands_on_one_path_that_differ_by_a_header_take_some_steps_each() {
    let by_value = (0..MANY).map(|rule| on("/", None, headers(1, rule)));
    assert_eq!(looked_through(by_value), (0, MANY * 6));
    let by_name = (0..MANY).map(|rule| on("/", None, vec![(format!("x-{rule}"), "1".to_owned())]));
    assert_eq!(looked_through(by_name), (0, MANY * 6));
}

#[test]
fn thousands_with_hosts_of_many_labels_and_several_headers_take_some_steps_each() {
    let end = ["label"; 60].join(".");
    let host = |rule| Some(format!("*.h{rule}.{end}"));
    let rules = (0..MANY).map(|rule| on("/", host(rule), headers(6, rule)));
    let (hidden, steps) = looked_through(rules);
    assert_eq!(hidden, 0);
    assert!(steps < MANY * 100, "{steps}");
}

#[test]
fn thousands_that_are_the_same_take_some_steps_each() {
    let rules = (0..MANY).map(|_| on("/", None, headers(1, 0)));
    assert_eq!(looked_through(rules), (MANY - 1, MANY * 7 - 1));
}

#[test]
fn it_stops_where_too_many_differ_by_sets_of_methods() {
    const SETS: usize = 1_000;
    // Each set has 10 of 20 methods, so that none of these is rare.
    let sets = (0_u32..1 << 20)
        .filter(|set| set.count_ones() == 10)
        .take(SETS);
    let sets = sets.map(|set| {
        let methods = (0..20).filter(move |method| set >> method & 1 == 1);
        named(methods.map(|method| format!("M{method}")))
    });
    let same = on("/a", None, Vec::new());
    let rules: Vec<_> = sets.chain([same.clone(), same]).collect();
    let most = 200_000;
    let (hidden, steps) = Routes::new(&rules).unwrap().hidden_within(FEW, most);
    // Paths with few rules are looked through all the same.
    assert!(
        hidden.iter().any(|hidden| hidden.rule == SETS + 1),
        "{hidden:?}"
    );
    // The last rule is compared with all that are before.
    assert!((most..most + SETS * 50).contains(&steps), "{steps}");
}

#[test]
fn a_host_of_thousands_of_labels_is_looked_up_so_far() {
    let host = format!("*{}", ".a".repeat(10_000));
    let rules = (0..=FEW).map(|rule| on("/", Some(host.clone()), headers(1, rule)));
    let (hidden, steps) = looked_through(rules);
    assert_eq!(hidden, 0);
    assert!(steps < FEW * 200, "{steps}");
}
