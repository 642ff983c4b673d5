//! A router for operators: look at policies, and change them by hand.
//!
//! It is off unless it is mounted, and meant for a listener that only operators reach: whoever
//! reaches it can open a breaker, and so take a service down. [`Admin::token`] asks for a bearer
//! token besides; without one, everybody who reaches the listener is an operator.
//!
//! | request | does |
//! | --- | --- |
//! | `GET /policies` | lists the policies, with how they are doing |
//! | `GET /config` | what is in force: what the file says, with the defaults filled in |
//! | `POST /breaker` | `{"policy": "upstream.payments/circuit_breaker", "action": "open"}`; or `close`, `reset`, `disable`, `metrics_only` |
//! | `POST /shadow` | `{"policy": "route GET /search/bulkhead", "shadow": true}`: only counts, or with `false` is obeyed |
//! | `POST /reload` | reads the file again |
//!
//! Answers are JSON, and errors are problem documents (RFC 9457). A body must say that it is JSON,
//! also an empty one: so that no page of another origin in an operator's browser can send one unasked.
//! And without a token, requests must be for an IP address, `localhost` or one of [`Admin::hosts`], so
//! that no page can whose name is made to point here (DNS rebinding). Each change is an event of
//! `tracing`, with who made it (the token's name, or the peer's address), what it was, and what was so
//! before and after. What changes nothing is none.
//!
//! ```
//! use buttress_config::{Admin, Rules};
//!
//! let rules = Rules::from_toml("")?;
//! let admin = Admin::new(rules).token("oncall", "a-long-secret-from-the-environment")?;
//! let private = axum::Router::new().nest("/resilience", admin.router());
//! # let _ = private;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What it answers is shown in the repository's `docs/configuration.md`, command by command.

mod change;
mod host;
mod problem;
#[cfg(test)]
mod tests;
mod token;

use crate::Rules;
use crate::rules::said;
use crate::settings::Setting;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use buttress::SettingError;
use change::{Answer, Who};
use http::{HeaderValue, Method, StatusCode, header};
use problem::Problem;
use serde_json::{Map, Value, json};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use token::Token;
use tokio::task::spawn_blocking;
use tracing::Span;
use tracing::dispatcher::{Dispatch, get_default, with_default};

/// The manual, whose examples are compiled as well.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/configuration.md")]
pub struct Manual;

/// What the router is made of; see the [module](self).
#[derive(Clone)]
pub struct Admin {
    rules: Rules,
    tokens: Arc<[Token]>,
    hosts: Arc<[String]>,
}

/// The longest body of a request.
const LONGEST_BODY: usize = 4 * 1024;

impl Admin {
    /// For these rules, without a token: whoever reaches the listener may change them.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            tokens: Arc::new([]),
            hosts: Arc::new([]),
        }
    }

    /// Asks for a bearer token. With several, any of them will do. The name is what logs say, and
    /// the secret is compared in a time that depends on its own length only.
    ///
    /// # Errors
    ///
    /// The name or the secret is empty, or the secret is not made of visible ASCII characters.
    pub fn token(mut self, name: &str, secret: &str) -> Result<Self, SettingError> {
        let mut tokens = self.tokens.to_vec();
        tokens.push(Token::new(name, secret)?);
        self.tokens = tokens.into();
        Ok(self)
    }

    /// Answers only requests for these names, IP addresses and `localhost`.
    ///
    /// Without a token, only requests for the latter two are answered unless this says otherwise: a page
    /// in an operator's browser may have its own name point here (DNS rebinding), and then is no page
    /// of another origin any more. With a token that is harmless, since such a page does not know it. A
    /// proxy in front that writes an address into `Host` goes round this: let it hand the name on, or set
    /// a token.
    ///
    /// # Errors
    ///
    /// One is nothing that a request can be for: it has a port or a `*`, for example.
    pub fn hosts<H: AsRef<str>>(
        mut self,
        hosts: impl IntoIterator<Item = H>,
    ) -> Result<Self, SettingError> {
        let hosts = hosts.into_iter().map(|name| host::checked(name.as_ref()));
        self.hosts = hosts.collect::<Result<Vec<_>, _>>()?.into();
        Ok(self)
    }

    /// The router, to be mounted on a private listener.
    pub fn router(self) -> Router {
        let guard = from_fn_with_state(self.clone(), let_in);
        Router::new()
            .route(
                "/policies",
                get(|State(admin)| apart(move || Ok(policies(&admin)))),
            )
            .route(
                "/config",
                get(|State(admin)| apart(move || Ok(config(&admin)))),
            )
            .route(
                "/breaker",
                post(|admin, who, body| apart(move || change::breaker(admin, &who, body))),
            )
            .route(
                "/shadow",
                post(|admin, who, body| apart(move || change::shadow(admin, &who, body))),
            )
            .route(
                "/reload",
                post(|admin, who| apart(move || change::reload(admin, &who))),
            )
            .method_not_allowed_fallback(|| async { Problem::METHOD })
            .fallback(|| async { Problem::NOT_FOUND })
            .layer(DefaultBodyLimit::max(LONGEST_BODY))
            .layer(guard)
            .with_state(self)
    }
}

/// Finds out who asks, and whether they may.
async fn let_in(State(admin): State<Admin>, mut request: Request, next: Next) -> Response {
    let asks_for_names = admin.tokens.is_empty() || !admin.hosts.is_empty();
    if asks_for_names && !host::is_ours(&request, &admin.hosts) {
        return Problem::HOST.into_response();
    }
    let who = if admin.tokens.is_empty() {
        Who::of_connection(request.extensions())
    } else {
        let given = request.headers().get(header::AUTHORIZATION);
        let token = given.and_then(|given| Token::find(&admin.tokens, given.as_bytes()));
        let Some(token) = token else {
            return Problem::UNAUTHORIZED.into_response();
        };
        Who::of_token(token)
    };
    let content = request.headers().get(header::CONTENT_TYPE);
    let says_json = content.is_some_and(|content| {
        let essence = content.as_bytes().split(|byte| *byte == b';').next();
        essence.is_some_and(|essence| {
            essence
                .trim_ascii()
                .eq_ignore_ascii_case(b"application/json")
        })
    });
    if request.method() == Method::POST && !says_json {
        return Problem::NOT_JSON.into_response();
    }
    request.extensions_mut().insert(who);
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, NO_STORE);
    response
}

/// What is told is true now, and not for everybody.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Answers on a thread that may wait: for a file, or for a reload that is being put into force. The
/// runtime's threads have requests to serve meanwhile.
///
/// It goes on when whoever asked has gone away, so that nothing is changed that is not logged, nor fails
/// unseen. What it logs goes to where the request's events go.
async fn apart(answer: impl FnOnce() -> Answer + Send + 'static) -> Answer {
    let (span, subscriber) = (Span::current(), get_default(Dispatch::clone));
    let work = move || with_default(&subscriber, || span.in_scope(|| logged(answer)));
    // There is none if the runtime ends before it begins.
    spawn_blocking(work).await.unwrap_or(Err(Problem::FAILED))
}

/// Says what panicked.
fn logged(answer: impl FnOnce() -> Answer) -> Answer {
    catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|panic| {
        let failure = said(&*panic);
        // If it is the subscriber that panics, it may do so again.
        _ = catch_unwind(|| {
            tracing::error!(%failure, "a request to the router for operators failed");
        });
        Err(Problem::FAILED)
    })
}

fn policies(admin: &Admin) -> Json<Value> {
    let policies = admin.rules.policies();
    let policies: Vec<Value> = policies.iter().map(crate::PolicyStatus::json).collect();
    Json(json!({ "policies": policies }))
}

fn config(admin: &Admin) -> Json<Value> {
    let settings = admin.rules.settings();
    let routes = settings.routes().iter().map(|route| {
        let policies = settings.effective_route(route).show();
        json!({ "match": route.matching.show(), "policies": policies })
    });
    let routes: Vec<Value> = routes.collect();
    let upstreams = settings.upstream.iter().flat_map(|all| all.names());
    let upstreams: Map<String, Value> = upstreams
        .filter_map(|name| {
            let effective = settings.effective_upstream(name)?;
            Some((name.to_owned(), effective.show()))
        })
        .collect();
    let shared = settings.policy.as_ref();
    let shared = shared.map_or_else(|| json!({}), |shared| shared.show());
    Json(json!({
        "generation": admin.rules.generation(),
        "file": admin.rules.path().map(|path| path.to_string_lossy().into_owned()),
        "defaults": settings.defaults().show(),
        "routes": routes,
        "policies": shared,
        "upstreams": upstreams,
    }))
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("rules", &self.rules)
            .field("tokens", &self.tokens.len())
            .field("hosts", &self.hosts)
            .finish()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document =
            json!({ "title": self.title, "status": self.status.as_u16(), "detail": self.detail });
        let mut response = (self.status, document.to_string()).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        headers.insert(header::CACHE_CONTROL, NO_STORE);
        if self.status == StatusCode::UNAUTHORIZED {
            let how = HeaderValue::from_static("Bearer");
            headers.insert(header::WWW_AUTHENTICATE, how);
        }
        response
    }
}
