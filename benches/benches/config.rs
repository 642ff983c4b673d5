//! What do rules of a file cost: finding the one for a request, with ten routes and with ten
//! thousand, and reading, checking and putting into force a file of a thousand?
#![allow(missing_docs, reason = "criterion's macros make functions without any")]
#![allow(
    clippy::unwrap_used,
    reason = "it measures, and stops where it cannot go on"
)]

use buttress_benches::thousand;
use buttress_config::Rules;
use buttress_config::routes::{Match, Routes};
use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderName, HeaderValue, Method, Request};
use std::hint::black_box;

fn lookup(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("config/lookup");
    for count in [10, 10_000] {
        let matches: Vec<Match> = (0..count)
            .map(|number| {
                let mut wanted = Match::default();
                wanted.path = Some(format!("/tenant{number}/orders/{{id}}"));
                wanted
            })
            .collect();
        let routes = Routes::new(&matches).unwrap();
        // As many in each, so that it is the table that is measured and not the memory's distance.
        let requests: Vec<Request<()>> = (0..10)
            .map(|number| {
                let path = format!("/tenant{}/orders/4711", number * count / 10);
                Request::get(path).body(()).unwrap()
            })
            .collect();
        let mut number = 0;
        group.bench_function(format!("{count} routes"), |bencher| {
            bencher.iter(|| {
                number = (number + 1) % requests.len();
                black_box(routes.find(&requests[number]))
            });
        });
    }
    group.finish();
}

/// A thousand rules with the very same path, and requests that find the first, the last and those
/// between.
fn one_path(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("config/lookup on one path");
    for count in [10, 1_000] {
        let by_host = |number: usize| {
            let mut wanted = Match::default();
            wanted.path = Some("/orders/{id}".to_owned());
            wanted.host = Some(format!("tenant{number}.example.com"));
            wanted
        };
        let by_star = |number: usize| {
            let mut wanted = by_host(number);
            wanted.host = Some(format!("*.tenant{number}.example.com"));
            wanted
        };
        // Every host has one for each of two methods.
        let by_method_and_host = |number: usize| {
            let mut wanted = by_host(number / 2);
            wanted.methods = vec![if number.is_multiple_of(2) {
                Method::GET
            } else {
                Method::POST
            }];
            wanted
        };
        let by_header = |number: usize| {
            let mut wanted = Match::default();
            wanted.path = Some("/orders/{id}".to_owned());
            let value = HeaderValue::from_str(&number.to_string()).unwrap();
            wanted.headers = vec![(HeaderName::from_static("x-tenant"), Some(value))];
            wanted
        };
        let kinds: [(&str, &dyn Fn(usize) -> Match); 4] = [
            ("host", &by_host),
            ("host with a star", &by_star),
            ("method and host", &by_method_and_host),
            ("header", &by_header),
        ];
        for (kind, wanted) in kinds {
            let matches: Vec<Match> = (0..count).map(wanted).collect();
            let routes = Routes::new(&matches).unwrap();
            let requests: Vec<_> = (0..10)
                .map(|place| of(&matches[place * (count - 1) / 9]))
                .collect();
            let mut number = 0;
            group.bench_function(format!("{count} rules by {kind}"), |bencher| {
                bencher.iter(|| {
                    number = (number + 1) % requests.len();
                    black_box(routes.find(&requests[number]))
                });
            });
        }
    }
    group.finish();
}

/// A request for which a rule is.
fn of(wanted: &Match) -> Request<()> {
    let method = wanted.methods.first().cloned().unwrap_or(Method::GET);
    let mut request = Request::builder().method(method).uri("/orders/4711");
    if let Some(host) = &wanted.host {
        request = request.header("host", host.replace('*', "api"));
    }
    for (name, value) in &wanted.headers {
        request = request.header(name, value.clone().unwrap());
    }
    request.body(()).unwrap()
}

fn reload(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("config/reload");
    group.sample_size(20);
    let rules = Rules::new(thousand::document(0)).unwrap();
    let mut edit = 0;
    group.bench_function("1000 routes, each of which changes", |bencher| {
        bencher.iter(|| {
            edit = 1 - edit;
            rules.replace(thousand::document(edit)).unwrap()
        });
    });
    group.bench_function("1000 routes, reading and checking alone", |bencher| {
        bencher.iter(|| thousand::document(black_box(0)));
    });
    group.finish();
}

criterion_group!(benches, lookup, one_path, reload);
criterion_main!(benches);
