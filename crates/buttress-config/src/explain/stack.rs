use crate::check::{self, Bound, Worst};
use crate::settings::{
    MatchSettings, SHORTEST_RETRIED, ServerPolicies, Settings, SharedPolicies, Time,
    TimeoutSettings, UpstreamSettings, inline, on,
};
use crate::source::At;
use serde_json::{Map, Value};
use std::fmt::Write;
use std::time::Duration;

/// The stack of every route and every upstream, outermost policy first, each with how many attempts
/// and how much time a call takes in the worst case.
///
/// What is in a stack because nothing is said about it is there as well.
///
/// ```
/// use buttress_config::{Document, Format, explain::stacks};
///
/// let text = "[upstream.payments]\ntimeout = '6s'\nattempt_timeout = '1s'\n";
/// let document = Document::parse("resilience.toml", text, Format::Toml)?;
/// let shown = stacks(document.settings());
/// assert!(shown.contains("worst case: 3 attempts, 6s to the response's headers"));
/// # Ok::<(), buttress_config::Problems>(())
/// ```
pub fn stacks(settings: &Settings) -> String {
    let mut text = String::new();
    for (index, route) in settings.routes().iter().enumerate() {
        let policies = settings.effective_route(route);
        _ = writeln!(text, "server.route[{index}]: {}", matching(&route.matching));
        of_server(&mut text, settings, &policies);
    }
    _ = writeln!(text, "every other request");
    of_server(&mut text, settings, &settings.defaults());
    for (name, _) in settings
        .upstream
        .iter()
        .flat_map(|upstreams| upstreams.iter())
    {
        if let Some(policies) = settings.effective_upstream(name) {
            _ = writeln!(text, "upstream.{}", **name);
            of_upstream(&mut text, settings, &policies);
        }
    }
    text
}

/// What a route is for, in a line.
pub(super) fn matching(matching: &MatchSettings) -> String {
    let mut parts = Vec::new();
    if let Some(methods) = &matching.method {
        let methods: Vec<_> = methods.iter().map(|method| method.as_str()).collect();
        parts.push(methods.join("|"));
    }
    parts.extend(matching.path.as_ref().map(|path| (**path).clone()));
    parts.extend(
        matching
            .grpc
            .as_ref()
            .map(|grpc| format!("gRPC {}", **grpc)),
    );
    parts.extend(matching.host.as_ref().map(|host| format!("on {}", **host)));
    for (name, value) in matching.header.iter().flat_map(|headers| headers.iter()) {
        let value = value
            .as_ref()
            .map(|value| String::from_utf8_lossy(value.as_bytes()));
        parts.push(match value {
            Some(value) => format!("with {name}: {value}"),
            None => format!("with {name}"),
        });
    }
    if parts.is_empty() {
        "every request".to_owned()
    } else {
        parts.join(" ")
    }
}

/// The policies of a server in the order in which a request meets them.
const SERVER: [&str; 12] = [
    "criticality",
    "deadline",
    "attempt",
    "pressure",
    "deadline_shedder",
    "rate_limit",
    "fair_share",
    "bulkhead",
    "adaptive_limit",
    "pace",
    "queue_delay",
    "timeout",
];

/// The policies of a client, likewise.
const CLIENT: [&str; 14] = [
    "coalesce",
    "stale_if_error",
    "timeout",
    "retry",
    "hedge",
    "circuit_breaker",
    "throttle",
    "rate_limit",
    "bulkhead",
    "adaptive_limit",
    "pace",
    "attempt_timeout",
    "deadline_header",
    "criticality_header",
];

pub(super) fn of_server(text: &mut String, settings: &Settings, policies: &ServerPolicies) {
    let uses = policies.uses.as_ref();
    let rows = rows(text, settings, &SERVER, &policies.to_json(), uses, |_| None);
    worst(text, &check::of_server(settings, policies));
    if rows == 0 {
        _ = writeln!(text, "  nothing protects it");
    }
    text.push('\n');
}

pub(super) fn of_upstream(text: &mut String, settings: &Settings, policies: &UpstreamSettings) {
    let uses = policies.uses.as_ref();
    let note = |kind: &str| Some(note(kind, policies));
    rows(text, settings, &CLIENT, &policies.to_json(), uses, note);
    worst(text, &check::of_upstream(settings, policies));
    text.push('\n');
}

/// What is said of a policy of an upstream that follows from what is said of others.
fn note(kind: &str, policies: &UpstreamSettings) -> String {
    let attempt = on(policies.attempt_timeout.as_ref());
    let retry = policies.retry.as_ref();
    match kind {
        "retry" if retry.is_some_and(|retry| retry.on().is_none() && !retry.is_written()) => {
            let shortest = Time(SHORTEST_RETRIED);
            format!("  (calls of less than {shortest} are made once, unless the file says `retry`)")
        }
        "attempt_timeout" if attempt.is_some_and(TimeoutSettings::is_derived) => {
            "  (what the call's time leaves each attempt)".to_owned()
        }
        _ => String::new(),
    }
}

fn worst(text: &mut String, worst: &Worst) {
    let Worst {
        attempts,
        headers,
        unasked,
        whole,
    } = worst;
    let plural = if *attempts == 1 { "" } else { "s" };
    _ = write!(text, "  worst case: {attempts} attempt{plural}, ");
    _ = match headers {
        Bound::AtMost(time) => write!(text, "{} to the response's headers", Time(*time)),
        Bound::Neither(one, other) => {
            write!(
                text,
                "and no bound on their time: there is neither `{one}` nor `{other}`"
            )
        }
        Bound::Others(alone) => of_others(text, *alone),
    };
    if let Some(time) = unasked {
        let time = Time(*time);
        _ = write!(text, ", {time} unless the callee asks for longer waits");
    }
    if let Some(whole) = whole {
        _ = write!(text, ", {} to the end of its body", Time(*whole));
    }
    text.push('\n');
}

fn of_others(text: &mut String, alone: Option<(Duration, Duration)>) -> std::fmt::Result {
    let why = "and no bound on their time: by `coalesce`, a call waits for others, of which one after the other may fail";
    let Some((time, wait)) = alone else {
        return write!(text, "{why}");
    };
    let (time, wait) = (Time(time), Time(wait));
    write!(
        text,
        "{why} (one that waits for none takes {time}, with {wait} for those that wait for it)"
    )
}

/// A line for each policy; returns how many. Where there are notes, those that are off are shown as well:
/// what the standard would put in the place of one that is left out is another stack.
fn rows(
    text: &mut String,
    settings: &Settings,
    order: &[&str],
    policies: &Value,
    uses: Option<&At<Vec<At<String>>>>,
    note: impl Fn(&str) -> Option<String>,
) -> usize {
    let mut count = 0;
    let mut row = |kind: &str, from: &str, settings: &Value| {
        let shown = match settings {
            Value::Bool(true) => "by its defaults".to_owned(),
            Value::Object(fields) if fields.is_empty() => "by its defaults".to_owned(),
            Value::Object(fields) => fields_of(fields),
            other => inline(other),
        };
        _ = writeln!(text, "  {kind:<19}{shown}{from}");
        count += 1;
    };
    for kind in order {
        for (name, shared) in settings.used(uses) {
            if let Some(settings) = shared_json(shared).get(*kind) {
                row(kind, &format!("  (shared: policy.{name})"), settings);
            }
        }
        let note = note(kind);
        match policies.get(kind) {
            None => {}
            Some(Value::Bool(false)) if note.is_none() => {}
            Some(settings) => row(kind, &note.unwrap_or_default(), settings),
        }
    }
    count
}

fn shared_json(shared: &SharedPolicies) -> Value {
    crate::settings::Setting::show(shared)
}

fn fields_of(fields: &Map<String, Value>) -> String {
    let fields = fields.iter();
    let fields: Vec<_> = fields
        .map(|(name, value)| format!("{name} = {}", inline(value)))
        .collect();
    fields.join(", ")
}
