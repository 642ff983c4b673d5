//! What is wrong with a file as a whole: each check with a file that it refuses, and one like it
//! that is fine.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod builders;
mod derived;
mod queues;
mod routes;
mod times;

use buttress_config::{Document, Format};

/// What is wrong, as `path what`.
fn wrong(text: &str) -> Vec<String> {
    match Document::parse("test.toml", text, Format::Toml) {
        Ok(document) => {
            assert!(document.warnings().is_empty(), "{}", document.warnings());
            Vec::new()
        }
        Err(problems) => {
            let problems = problems.iter();
            problems
                .map(|problem| format!("{} {}", problem.path, problem.what))
                .collect()
        }
    }
}

/// One thing is wrong, of which this is the beginning.
fn refused(text: &str, beginning: &str) {
    let wrong = wrong(text);
    assert_eq!(wrong.len(), 1, "{wrong:#?}");
    assert!(wrong[0].starts_with(beginning), "{wrong:#?}");
}

fn fine(text: &str) {
    assert_eq!(wrong(text), Vec::<String>::new());
}

/// The file can be used, and one thing is hardly meant, of which this is the beginning.
fn warned(text: &str, beginning: &str) {
    let document = Document::parse("test.toml", text, Format::Toml).unwrap();
    let warnings = document.warnings().iter();
    let warnings: Vec<_> = warnings
        .map(|problem| format!("{} {}", problem.path, problem.what))
        .collect();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].starts_with(beginning), "{warnings:#?}");
}

#[test]
fn an_empty_file_is_fine() {
    fine("");
    fine("[server.defaults]\n[upstream.some]\n");
}

#[test]
fn fields_of_the_application_are_left_alone() {
    fine(
        "x-mine = 1\n[server]\nx-more = { anything = [1, 2] }\n[upstream.some]\nx-url = 'http://a'\n",
    );
    refused("mine = 1\n", "mine is not a field that there is here");
    // But what the file gives names to may be called that.
    fine("[policy.x-pool]\nbulkhead = 4\n[upstream.x-ray]\nuse = 'x-pool'\n");
    refused(
        "[policy.x-pool]\nbulkhead = 4\n[upstream.x-ray]\nuse = 'x-lake'\n[policy.x-lake]\nbulkhead = 4\n",
        "policy.x-pool is used by no route and no upstream",
    );
}

#[test]
fn policies_must_be_used_and_known() {
    let file = |uses: &str| {
        format!("[policy.pool]\nbulkhead = 4\n[[server.route]]\nmatch = {{ path = '/' }}\n{uses}\n")
    };
    fine(&file("use = ['pool']"));
    fine(&file("use = 'pool'"));
    refused(&file(""), "policy.pool is used by no route and no upstream");
    refused(
        &file("use = ['pool', 'pool']"),
        "server.route[0].use[1] is \"pool\", which is there twice",
    );
    assert_eq!(
        wrong(&file("use = ['lake']")),
        [
            "policy.pool is used by no route and no upstream",
            "server.route[0].use[0] is \"lake\", and there is no policy of that name",
        ]
    );
    fine("[policy.pool]\nbulkhead = 4\n[server.defaults]\nuse = ['pool']\n");
    fine("[policy.pool]\nbulkhead = 4\n[upstream.u]\nuse = ['pool']\n");
    refused(
        "[policy.pool]\n[upstream.u]\nuse = ['pool']\n",
        "policy.pool has no policy that could be shared",
    );
    // One that cannot be read is one.
    refused(
        "[policy.pool]\nfair_share = { limit = 5, by = 7 }\n[server.defaults]\nuse = ['pool']\n",
        "policy.pool.fair_share.by is 7",
    );
}

#[test]
fn names_are_such_that_refusals_can_carry_them() {
    fine("[upstream.'the payments, mostly']\n");
    let long = "x".repeat(65);
    for bad in ["''", "\"a\\nb\"", "'häuser'", &long] {
        let wrong = wrong(&format!("[upstream.{bad}]\n"));
        assert!(
            wrong.len() == 1 && wrong[0].contains("has a name that"),
            "{wrong:?}"
        );
    }
}

#[test]
fn what_is_for_servers_is_not_shared_with_upstreams() {
    refused(
        "[policy.fair]\nfair_share = { limit = 4, by = 'peer' }\n[upstream.u]\nuse = ['fair']\n",
        "upstream.u.use names \"fair\", whose `fair_share` is for servers",
    );
}

/// What is wrong elsewhere hides nothing.
#[test]
fn a_policy_that_nothing_uses_is_found_whatever_else_is_wrong() {
    let unused = "policy.pool is used by no route and no upstream";
    for elsewhere in [
        "[server.defaults]\ntiemout = '2s'\n",
        "[server.defaults]\ndeadline = 'soon'\n",
        "[[server.route]]\nbulkhead = 4\n",
        "[[server.route]]\nmatch = 'all'\n",
        "[upstream]\nu = 5\n",
        "[upstream.u]\nretry = { attempts = 'pool' }\n",
        "[policy.other]\nbulkhead = 'many'\n[upstream.u]\nuse = ['other']\n",
    ] {
        let wrong = wrong(&format!("[policy.pool]\nbulkhead = 4\n{elsewhere}"));
        assert!(wrong.iter().any(|wrong| wrong == unused), "{wrong:#?}");
        assert!(wrong.len() > 1, "{wrong:#?}");
    }
    let broken = wrong("[policy.pool]\nbulkhead = 4\n[server.defaults]\ndeadline = = '1s'\n");
    assert!(broken.iter().any(|wrong| wrong == unused), "{broken:#?}");
}

/// What is meant may be that it is used.
#[test]
fn a_policy_that_may_be_meant_is_not_said_to_be_unused() {
    let file = |uses: &str| format!("[policy.pool]\nbulkhead = 4\n{uses}\n");
    for (uses, wrong) in [
        (
            "[[server.route]]\nuse = ['pool']",
            "server.route[0].match is missing",
        ),
        (
            "[upstream.u]\nuse = ['pol']",
            "upstream.u.use[0] is \"pol\", and there is no policy",
        ),
        ("[upstream.u]\nuse = 5", "upstream.u.use is 5"),
        (
            "[upstream.u]\nuse = [5, 'b']\n[policy.b]\nbulkhead = 1",
            "upstream.u.use[0] is 5",
        ),
        (
            "[upstream.u]\nuses = ['pool']",
            "upstream.u.uses is not a field",
        ),
        (
            "[upstrem.u]\nuse = ['pool']",
            "upstrem is not a field that there is here",
        ),
        (
            "[[server.rout]]\nmatch = {}\nuse = ['pool']",
            "server.rout is not a field",
        ),
    ] {
        refused(&file(uses), wrong);
    }
    let broken = wrong(&file("[upstream.u]\nuse = ['pool'\n"));
    assert!(!broken.iter().any(|wrong| wrong.contains("is used by no")));
}

#[test]
fn a_policy_that_cannot_be_read_is_one_of_that_name() {
    refused(
        "[policy]\npool = 5\n[upstream.u]\nuse = ['pool']\n",
        "policy.pool is 5",
    );
    refused(
        "[polcy.pool]\nbulkhead = 4\n[upstream.u]\nuse = ['pool']\n",
        "polcy is not a field",
    );
}

#[test]
fn a_name_that_there_is_not_is_found_where_the_syntax_is_broken() {
    let file = "[policy.pool]\nbulkhead = 4\n[server.defaults]\ndeadline = = '1s'\n";
    let wrong = wrong(&format!(
        "{file}[upstream.u]\nuse = ['pool', 'lake', 'open']\n[policy.open\n"
    ));
    let names: Vec<_> = wrong
        .iter()
        .filter(|wrong| wrong.contains("policy of that name"))
        .collect();
    assert_eq!(names.len(), 1, "{wrong:#?}");
    assert!(names[0].contains("\"lake\""), "{wrong:#?}");
}

#[test]
fn names_are_counted_as_they_stand() {
    refused(
        "[policy.pool]\nbulkhead = 4\n[upstream.u]\nuse = ['pool', 'lake']\n",
        "upstream.u.use[1] is \"lake\"",
    );
    let wrong = wrong("[policy.pool]\nbulkhead = 4\n[upstream.u]\nuse = [5, 'pool', 'lake']\n");
    assert_eq!(wrong.len(), 2, "{wrong:#?}");
    assert!(
        wrong[1].starts_with("upstream.u.use[2] is \"lake\""),
        "{wrong:#?}"
    );
}

#[test]
fn an_upstream_retries_or_hedges() {
    refused(
        "[upstream.u]\nretry = 2\nhedge = '50ms'\n",
        "upstream.u.hedge stands beside `retry`",
    );
    fine("[upstream.u]\nhedge = '50ms'\n");
    fine("[upstream.u]\nretry = false\nhedge = '50ms'\n");
}
