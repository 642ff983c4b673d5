//! What changes something.

use super::Admin;
use super::problem::Problem;
use super::token::Token;
use crate::policy::{AnyKey, AnyOf};
use crate::problem::nearest;
use crate::rules::{Handle, Registry, Reload, Reloaded, brief};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, State};
use axum::{Extension, Json};
use buttress::circuit_breaker::Breaker;
use buttress::key::PeerAddress;
use buttress::{CircuitBreaker, CircuitState, Keyed};
use http::Extensions;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

/// Who asks, as logs say it.
#[derive(Clone, Debug)]
pub(super) struct Who(Arc<str>);

impl Who {
    pub(super) fn of_token(token: &Token) -> Self {
        Self(Arc::clone(&token.name))
    }

    pub(super) fn of_connection(extensions: &Extensions) -> Self {
        if let Some(ConnectInfo(address)) = extensions.get::<ConnectInfo<SocketAddr>>() {
            return Self(address.to_string().into());
        }
        match extensions.get() {
            Some(PeerAddress(address)) => Self(address.to_string().into()),
            None => Self("somebody".into()),
        }
    }
}

pub(super) type Answer = Result<Json<Value>, Problem>;
pub(super) type Body = Result<Bytes, BytesRejection>;

macro_rules! of_any {
    ($breaker:expr, $each:ident => $change:expr) => {
        match $breaker {
            AnyBreaker::One($each) => $change,
            AnyBreaker::Keyed($each) => $change,
        }
    };
}

pub(super) fn breaker(State(admin): State<Admin>, who: &Extension<Who>, body: Body) -> Answer {
    let body = read(body)?;
    let name = policy_in(&body)?;
    let action = body.get("action").and_then(Value::as_str);
    let change: fn(&AnyBreaker) = match action {
        Some("open") => |breaker| of_any!(breaker, each => each.force_open()),
        Some(CLOSE) => |breaker| of_any!(breaker, each => each.force_close()),
        Some(RESET) => |breaker| of_any!(breaker, each => each.reset()),
        Some("disable") => |breaker| of_any!(breaker, each => each.disable()),
        Some("metrics_only") => |breaker| of_any!(breaker, each => each.metrics_only()),
        _ => {
            let allowed = "`action` must be open, close, reset, disable or metrics_only";
            return Err(Problem::body(allowed));
        }
    };
    let fits = |handle: &Handle| match handle {
        Handle::Policy(_, policy) => {
            let breaker = match policy.policy().policy() {
                AnyOf::Breaker(breaker) => AnyBreaker::One(breaker.clone()),
                AnyOf::BreakerBy(breakers) => AnyBreaker::Keyed(breakers.clone()),
                _ => return None,
            };
            Some((breaker, policy.is_enforced()))
        }
        _ => None,
    };
    let (before, after, enforced) = admin.rules.by_hand(|registry| {
        let (breaker, enforced) = find(registry, name, fits)?;
        let before = breaker.state();
        change(&breaker);
        let after = breaker.state();
        if before != after {
            tell(who, "breaker", name, before, after);
        } else if matches!(action, Some(CLOSE | RESET)) {
            tracing::info!(
                who = %who.0.0, what = "breaker", policy = name, %before, %after,
                "begun anew by hand"
            );
        }
        Ok((before, after, enforced))
    })?;
    // In shadow it refuses nothing, in whatever state it is.
    Ok(Json(
        json!({ "policy": name, "before": before, "after": after, "enforced": enforced }),
    ))
}

/// These empty a breaker's windows, whatever state it is in.
const CLOSE: &str = "close";
const RESET: &str = "reset";

/// A breaker for all calls, or those of all keys.
enum AnyBreaker {
    One(CircuitBreaker),
    Keyed(Keyed<AnyKey, Breaker>),
}

impl AnyBreaker {
    /// Of many, what all of them are in by hand: each key's has a state of its own.
    fn state(&self) -> &'static str {
        match self {
            Self::One(breaker) => breaker.state().name(),
            Self::Keyed(breakers) => breakers.mode().map_or("automatic", CircuitState::name),
        }
    }
}

pub(super) fn shadow(State(admin): State<Admin>, who: &Extension<Who>, body: Body) -> Answer {
    let body = read(body)?;
    let name = policy_in(&body)?;
    let Some(shadow) = body.get("shadow").and_then(Value::as_bool) else {
        return Err(Problem::body("`shadow` must be true or false"));
    };
    let fits = |handle: &Handle| match handle {
        Handle::Policy(_, policy) => Some(policy.clone()),
        _ => None,
    };
    let word = |enforced| if enforced { "enforced" } else { "shadow" };
    let (before, after) = admin.rules.by_hand(|registry| {
        let policy = find(registry, name, fits)?;
        let before = word(policy.is_enforced());
        if shadow {
            policy.observe();
        } else {
            policy.enforce();
        }
        let after = word(policy.is_enforced());
        if before != after {
            tell(who, "shadow", name, before, after);
        }
        Ok((before, after))
    })?;
    Ok(Json(
        json!({ "policy": name, "before": before, "after": after }),
    ))
}

pub(super) fn reload(State(admin): State<Admin>, who: &Extension<Who>) -> Answer {
    let file = admin.rules.path();
    let file = file
        .as_ref()
        .map_or("".into(), |path| path.to_string_lossy());
    let who = &who.0.0;
    let what = "reload";
    let reloaded = admin.rules.reload_by_hand(|result| match result {
        Ok(Reloaded {
            reload: Reload::Changed,
            before,
            after,
            changes,
            ..
        }) => tracing::info!(%who, what, %file, before, after, %changes, "changed by hand"),
        Ok(reloaded) if !reloaded.was_well => {
            tracing::info!(%who, what, %file, "the file is well again, and says what is in force");
        }
        Ok(_) => {}
        Err(problems) => {
            let problem = brief(problems);
            tracing::warn!(%who, what, %file, %problem, "tried by hand, and nothing has changed");
        }
    });
    let reloaded = reloaded.map_err(|problems| Problem::bad_file(problems.to_string()))?;
    Ok(Json(json!({
        "changed": reloaded.reload == Reload::Changed,
        "before": reloaded.before,
        "after": reloaded.after,
        "changes": reloaded.changes.told(),
        "more_changes": reloaded.changes.more(),
    })))
}

/// Says what was changed.
fn tell(
    who: &Extension<Who>,
    what: &'static str,
    policy: &str,
    before: impl std::fmt::Display,
    after: impl std::fmt::Display,
) {
    tracing::info!(who = %who.0.0, what, policy, %before, %after, "changed by hand");
}

fn read(body: Body) -> Result<Value, Problem> {
    let body = body.map_err(|_| Problem::too_long())?;
    serde_json::from_slice(&body).map_err(|_| Problem::body("it must be a JSON object"))
}

fn policy_in(body: &Value) -> Result<&str, Problem> {
    let name = body.get("policy").and_then(Value::as_str);
    name.ok_or(Problem::body(
        "`policy` must be the name of one in /policies",
    ))
}

fn find<T>(
    registry: &Registry,
    name: &str,
    fits: impl Fn(&Handle) -> Option<T>,
) -> Result<T, Problem> {
    registry.get(name).and_then(&fits).ok_or_else(|| {
        let names: Vec<&str> = registry
            .iter()
            .filter_map(|(name, handle)| fits(handle).map(|_| name))
            .collect();
        Problem::unknown_policy(name, nearest(name, &names).map(ToString::to_string))
    })
}
