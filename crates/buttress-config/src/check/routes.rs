//! Routes that cannot be read, and routes that no request will ever take.

use crate::problem::Reporter;
use crate::routes::{Match, Routes, TemplateError, host_holds};
use crate::settings::{MatchSettings, RouteSettings, Settings};
use crate::source::{At, Span};
use http::Method;

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
            if well {
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

/// Conditions that no request can fulfil.
fn contradictions(matching: &At<MatchSettings>, report: &mut Reporter) {
    let mut never = |name: &str, span: Span, why: &str| {
        report.field(name, |report| {
            report.error(span, format!("can never match: {why}"));
        });
    };
    if let Some(path) = &matching.path {
        let unsent = |c: char| !c.is_ascii_graphic() || matches!(c, '?' | '#');
        if path.contains(unsent) {
            let why = "a request's path has no spaces, no query, and other letters are encoded";
            never("path", path.span(), why);
        }
    }
    if let Some(host) = &matching.host {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._:[]*".contains(c);
        let star = host.strip_prefix("*.").unwrap_or(host).contains('*');
        if host.is_empty() || star || !host.chars().all(fits) {
            never(
                "host",
                host.span(),
                "a host is a name such as \"api.example.com\", or \"*.example.com\"",
            );
        }
    }
    if matching.grpc.is_some()
        && let Some(methods) = &matching.method
        && !methods.is_empty()
        && methods.iter().all(|method| **method != Method::POST)
    {
        never("method", methods.span(), "gRPC is always POST");
    }
    let headers = matching.header.iter();
    for (name, value) in headers.flat_map(|headers| headers.iter()) {
        let span = matching.header.as_ref().map_or(matching.span(), At::span);
        let value = value.as_ref().and_then(|value| value.to_str().ok());
        match (name.as_str(), value) {
            ("content-type", Some(value))
                if matching.grpc.is_some() && !value.starts_with("application/grpc") =>
            {
                never(
                    "header",
                    span,
                    "gRPC's content type begins with \"application/grpc\"",
                );
            }
            ("host", Some(value)) if contradicts(value, matching.host.as_ref()) => {
                never("header", span, "`host` says something else");
            }
            _ => {}
        }
    }
}

fn contradicts(header: &str, host: Option<&At<String>>) -> bool {
    host.is_some_and(|host| !host.starts_with('*') && !host_holds(host, header))
}
