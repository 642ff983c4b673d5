//! Routes that cannot be read, and routes that no request will ever take.

use super::host;
use crate::problem::Reporter;
use crate::routes::{Match, Routes, TemplateError, host_holds};
use crate::settings::{MatchSettings, RouteSettings, Settings, similar_method};
use crate::source::{At, Span};
use http::Method;
use http::uri::PathAndQuery;

pub(super) fn check(settings: &Settings, report: &mut Reporter) {
    let routes = settings.routes();
    let matches = settings.matches();
    let mut readable = Vec::new();
    report.field("server", |report| {
        for (index, (route, wanted)) in routes.iter().zip(&matches).enumerate() {
            let index = report.number(route.span(), index);
            let well = report.field("route", |report| {
                report.item(index, |report| one(route, wanted, report))
            });
            if well && is_known(&route.matching, report) {
                readable.push((index, route, wanted));
            }
        }
        let Ok(found) = Routes::new(readable.iter().map(|(_, _, wanted)| *wanted)) else {
            return;
        };
        for hidden in found.never_apply() {
            let Some((never, route, _)) = readable.get(hidden.rule) else {
                continue;
            };
            let first = hidden.by.iter().filter_map(|first| readable.get(*first));
            let first: Vec<_> = first
                .map(|(first, ..)| format!("`server.route[{first}]`"))
                .collect();
            report.field("route", |report| {
                report.item(*never, |report| {
                    report.error(route.matching.span(), come_first(&first));
                });
            });
        }
    });
}

/// Whether all of it could be read. Otherwise it is not known what it matches.
fn is_known(matching: &At<MatchSettings>, report: &Reporter) -> bool {
    let mut fields = ["method", "path", "grpc", "host", "header"].iter();
    let unread = fields.any(|field| report.is_unread(matching.span(), field));
    let methods = matching.method.as_ref();
    let some_are = methods.is_some_and(|methods| report.is_unread(methods.span(), ""));
    matching.is_written() && !unread && !some_are
}

/// What is said of a route that others hide.
fn come_first(others: &[String]) -> String {
    match others {
        [first] => format!("can never match: {first} comes first whenever it would"),
        several => {
            let several = several.join(", ");
            format!("can never match: one of {several} comes first whenever it would")
        }
    }
}

fn one(route: &At<RouteSettings>, wanted: &Match, report: &mut Reporter) -> bool {
    let matching = &route.matching;
    report.field("match", |report| {
        contradictions(matching, report);
        let Err((_, error)) = Routes::new([wanted]) else {
            return true;
        };
        let path = matching.path.as_ref().map(|path| ("path", path));
        let grpc = matching.grpc.as_ref().map(|grpc| ("grpc", grpc));
        let place = match error {
            TemplateError::NotGrpc | TemplateError::Two => grpc.or(path),
            _ => path.or(grpc),
        };
        let (name, span) = place.map_or(("", matching.span()), |(name, at)| (name, at.span()));
        report.below(name, |report| {
            let text = place
                .map(|(_, at)| format!("is {:?}", **at))
                .unwrap_or_default();
            report.error(span, format!("{text}: {error}"));
        });
        false
    })
}

/// Conditions that no request can fulfil, and those that hardly one does.
fn contradictions(matching: &At<MatchSettings>, report: &mut Reporter) {
    if let Some(path) = &matching.path {
        of_path(path, report);
    }
    if let Some(host) = &matching.host {
        if let Err(why) = host::can_be_sent(host) {
            never(report, "host", host.span(), why);
        } else if let Err(why) = host::is_usual(host) {
            hardly(report, "host", host.span(), why);
        }
    }
    if let Some(methods) = &matching.method {
        of_methods(methods, report);
    }
    if matching.grpc.is_some()
        && let Some(methods) = &matching.method
        && !methods.is_empty()
        && methods.iter().all(|method| **method != Method::POST)
    {
        never(report, "method", methods.span(), "gRPC is always POST");
    }
    let headers = matching.header.iter();
    for (name, value) in headers.flat_map(|headers| headers.iter()) {
        let span = matching.header.as_ref().map_or(matching.span(), At::span);
        let value = value.as_ref().and_then(|value| value.to_str().ok());
        let Some(value) = value else { continue };
        // Neither is a contradiction: routes for gRPC go by the path alone, and in HTTP/2 a host may
        // be asked for beside a header that says something else.
        let why = match name.as_str() {
            "content-type" if matching.grpc.is_some() && !is_grpc(value) => {
                "gRPC's content type begins with \"application/grpc\""
            }
            "host" if contradicts(value, matching.host.as_ref()) => "`host` says something else",
            _ => continue,
        };
        hardly(report, "header", span, why);
    }
}

/// No methods at all, and those that are probably another one.
fn of_methods(methods: &At<Vec<At<Method>>>, report: &mut Reporter) {
    // What could not be read is no longer in the list.
    if methods.is_empty() && !report.is_unread(methods.span(), "") {
        report.field("method", |report| {
            let allowed = "one at least, or left out for every method";
            report
                .error(methods.span(), "is an empty list")
                .must_be(allowed);
        });
    }
    for (index, method) in methods.iter().enumerate() {
        let Some(meant) = similar_method(method.as_str()) else {
            continue;
        };
        let warn = |report: &mut Reporter| {
            let what = format!("is {:?}, which is hardly a method", method.as_str());
            report.warning(method.span(), what).meant(Some(meant));
        };
        let index = report.number(method.span(), index);
        report.field("method", |report| {
            // One alone needs no list.
            if method.span() == methods.span() {
                warn(report);
            } else {
                report.item(index, warn);
            }
        });
    }
}

/// A path that no request has, or only requests of careless clients.
fn of_path(path: &At<String>, report: &mut Reporter) {
    // The names of parameters are for people. What begins with two braces is no parameter.
    let is_named = |segment: &str| segment.starts_with('{') && !segment.starts_with("{{");
    let fixed = path.split('/').filter(|segment| !is_named(segment));
    let fixed = format!("/{}", fixed.collect::<Vec<_>>().join("/"));
    let sent = PathAndQuery::try_from(fixed.as_str());
    if !sent.is_ok_and(|sent| sent.path() == fixed) {
        let why = "a request's path has no spaces, no query, and some letters only encoded";
        never(report, "path", path.span(), why);
    } else if !fixed.is_ascii() {
        let why = "clients send the letters beyond ASCII encoded, as in `%C3%A4`";
        hardly(report, "path", path.span(), why);
    }
}

fn never(report: &mut Reporter, name: &str, span: Span, why: &str) {
    report.field(name, |report| {
        report.error(span, format!("can never match: {why}"));
    });
}

fn hardly(report: &mut Reporter, name: &str, span: Span, why: &str) {
    report.field(name, |report| {
        report.warning(span, format!("hardly ever matches: {why}"));
    });
}

/// Whether it is `application/grpc`, or that with a format as in `application/grpc+proto`.
fn is_grpc(content_type: &str) -> bool {
    let start = content_type.get(.."application/grpc".len());
    start.is_some_and(|start| start.eq_ignore_ascii_case("application/grpc"))
}

fn contradicts(header: &str, host: Option<&At<String>>) -> bool {
    host.is_some_and(|host| !host.starts_with('*') && !host_holds(host, header))
}
