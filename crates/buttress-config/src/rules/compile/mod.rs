//! From a file's settings to what calls go by.

mod chain;
mod route;
mod upstream;

use super::compiled::Compiled;
use super::maker::Maker;
use super::registry::Registry;
use crate::routes::{Match, Routes};
use crate::settings::{RouteSettings, Settings, TimeoutSettings};
use buttress::timeout::BodyLimits;
use buttress::{SettingError, Timeout};
use hashbrown::HashMap;
use http::Method;
use route::route;
use upstream::upstream;

/// What a file comes to.
pub(in crate::rules) struct Outcome {
    pub(in crate::rules) compiled: Compiled,
    pub(in crate::rules) registry: Registry,
    /// What is to be done when nothing can fail any more.
    pub(in crate::rules) changes: Vec<Box<dyn FnOnce()>>,
}

/// What is wrong, and with what. A file that was checked has nothing of the kind.
pub(in crate::rules) type Failure = (String, String);

/// Makes rules of a file's settings, with what can stay of those before.
pub(in crate::rules) fn compile(
    settings: &Settings,
    before: &Registry,
    generation: u64,
) -> Result<Outcome, Failure> {
    let mut maker = Maker::new(before);
    let matches = settings.matches();
    let routes = Routes::new(&matches)
        .map_err(|(number, error)| (format!("server.route[{number}]"), error.to_string()))?;
    let defaults = settings.defaults();
    let mut stacks = Vec::with_capacity(settings.routes().len() + 1);
    let rest = "server.defaults";
    let mut pressures = Vec::new();
    stacks
        .push(route(&mut maker, &mut pressures, settings, rest, &defaults).map_err(failed(rest))?);
    let mut known: HashMap<String, usize> = HashMap::new();
    for one in settings.routes() {
        let mut id = format!("route {}", title(one));
        // A second one with the same match never applies; but it must not take the first one's.
        let count = known.entry(id.clone()).or_default();
        *count += 1;
        if *count > 1 {
            id = format!("{id} ({count})");
        }
        let effective = one.policies.or(&defaults);
        stacks.push(
            route(&mut maker, &mut pressures, settings, &id, &effective).map_err(failed(&id))?,
        );
    }
    let mut upstreams = HashMap::new();
    for (name, _) in settings.upstream.iter().flat_map(|all| all.iter()) {
        let Some(effective) = settings.effective_upstream(name) else {
            continue;
        };
        let id = format!("upstream.{}", **name);
        let made = upstream(&mut maker, settings, name, &effective).map_err(failed(&id))?;
        upstreams.insert(name.as_str().into(), made);
    }
    let (registry, changes) = maker.finish();
    Ok(Outcome {
        compiled: Compiled {
            routes,
            stacks,
            upstreams,
            generation,
        },
        registry,
        changes,
    })
}

fn failed(id: &str) -> impl FnOnce(SettingError) -> Failure {
    let id = id.to_owned();
    move |error| (id, error.to_string())
}

type Made<T> = Result<T, SettingError>;

/// What a route is called where people see it.
pub(in crate::rules) fn title(route: &RouteSettings) -> String {
    let wanted = Match::from(&*route.matching);
    let mut words: Vec<String> = Vec::new();
    // One that means the same is known by the same name, however it is written.
    let mut methods: Vec<_> = wanted.methods.iter().map(Method::as_str).collect();
    methods.sort_unstable();
    methods.dedup();
    words.push(methods.join("|"));
    let host = wanted.host.map(|host| host.to_ascii_lowercase());
    words.extend(host.map(|host| format!("host={}", host.trim_end_matches('.'))));
    words.extend(wanted.path);
    words.extend(wanted.grpc.map(|method| format!("grpc={method}")));
    for (name, value) in wanted.headers {
        let value = value.as_ref().and_then(|value| value.to_str().ok());
        words.push(format!("{name}={}", value.unwrap_or("*")));
    }
    words.retain(|word| !word.is_empty());
    if words.is_empty() {
        return "any".to_owned();
    }
    words.join(" ")
}

/// One that is off if there is none, so that a stack has the same type with and without.
fn timeout(settings: Option<&TimeoutSettings>, each_attempt: bool) -> Made<Timeout<BodyLimits>> {
    let Some(settings) = settings else {
        return Ok(Timeout::off());
    };
    match settings.with_body(each_attempt)? {
        Some(timeout) => Ok(timeout),
        None => Ok(settings.headers_only(each_attempt)?.any_body()),
    }
}
