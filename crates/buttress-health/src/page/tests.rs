use super::*;
use proptest::prelude::*;

fn lines() -> Vec<Line> {
    vec![
        Line::new("ping", Mark::Ok),
        Line {
            name: "cache".into(),
            mark: Mark::Degraded,
            fault: Some(Fault::new("slow \"today\"")),
        },
        Line::failed("database", Fault::new("connection refused")),
    ]
}

fn text(page: &Page, names: &[&str], format: Format, reasons: bool) -> (Status, String) {
    let names: BTreeSet<String> = names.iter().map(|&name| name.to_owned()).collect();
    let answer = if names.is_empty() {
        page.answer(format, reasons)
    } else {
        page.answer_without(names, format, reasons)
    };
    (
        answer.status,
        String::from_utf8(answer.body.to_vec()).unwrap(),
    )
}

/// The lines are what Kubernetes' own tests of its API server expect.
#[test]
fn text_is_what_kubernetes_prints() {
    let good = Page::new(Endpoint::Live, vec![Line::new("ping", Mark::Ok)]);
    for (names, format, expected) in [
        (&[][..], Format::Text, "ok"),
        (&[], Format::Verbose, "[+]ping ok\nlivez check passed\n"),
        (&["dontexist"], Format::Text, "ok"),
        (
            &["dontexist", "b\"ad"],
            Format::Verbose,
            "[+]ping ok\nwarn: some health checks cannot be excluded: \
             no matches for \"b\\\"ad\",\"dontexist\"\nlivez check passed\n",
        ),
        (
            &["ping"],
            Format::Verbose,
            "[+]ping excluded: ok\nlivez check passed\n",
        ),
    ] {
        let expected = (Status::Pass, expected.to_owned());
        assert_eq!(text(&good, names, format, false), expected);
    }
}

#[test]
fn a_page_that_failed_says_what_even_if_not_asked() {
    let page = Page::new(Endpoint::Ready, lines());
    let withheld = "[+]ping ok\n[+]cache degraded: reason withheld\n\
                    [-]database failed: reason withheld\nreadyz check failed\n";
    let shown = "[+]ping ok\n[+]cache degraded: slow \"today\"\n\
                 [-]database failed: connection refused\nreadyz check failed\n";
    for format in [Format::Text, Format::Verbose] {
        assert_eq!(
            text(&page, &[], format, false),
            (Status::Fail, withheld.to_owned())
        );
        assert_eq!(
            text(&page, &[], format, true),
            (Status::Fail, shown.to_owned())
        );
    }
}

#[test]
fn what_is_excluded_does_not_count() {
    let page = Page::new(Endpoint::Ready, lines());
    assert_eq!(
        text(&page, &["database"], Format::Text, false),
        (Status::Warn, "ok".to_owned())
    );
    let both = text(&page, &["database", "cache"], Format::Verbose, true);
    let expected = "[+]ping ok\n[+]cache excluded: ok\n[+]database excluded: ok\n\
                    readyz check passed\n";
    assert_eq!(both, (Status::Pass, expected.to_owned()));
}

#[test]
fn json_tells_the_status_of_each_check() {
    let page = Page::new(Endpoint::Ready, lines());
    let json = |names, reasons| -> serde_json::Value {
        serde_json::from_str(&text(&page, names, Format::Json, reasons).1).unwrap()
    };
    assert_eq!(
        json(&[], true),
        serde_json::json!({"status": "fail", "checks": {
            "ping": [{"status": "pass"}],
            "cache": [{"status": "warn", "output": "slow \"today\""}],
            "database": [{"status": "fail", "output": "connection refused"}],
        }})
    );
    assert_eq!(
        json(&["database", "no\\such"], false),
        serde_json::json!({
            "status": "warn",
            "notes": [
                "excluded: database",
                "cannot be excluded, there is no such check: no\\such",
            ],
            "checks": {"ping": [{"status": "pass"}], "cache": [{"status": "warn"}]},
        })
    );
}

proptest! {
    /// Whatever is excluded, JSON can be read, and text keeps to its lines.
    #[test]
    fn no_name_breaks_a_page(names in prop::collection::btree_set(any::<String>(), 0..8)) {
        let page = Page::new(Endpoint::Ready, lines());
        let json = page.answer_without(names.clone(), Format::Json, true).body;
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let notes = json["notes"].as_array().map_or(0, Vec::len);
        prop_assert_eq!(notes, names.len());

        let text = page.answer_without(names.clone(), Format::Verbose, true).body;
        let text = String::from_utf8(text.to_vec()).unwrap();
        let warns = names.iter().any(|name| !["ping", "cache", "database"].contains(&&**name));
        prop_assert_eq!(text.lines().count(), 4 + usize::from(warns));
    }
}
