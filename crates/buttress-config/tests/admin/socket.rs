//! On a listener of its own, with a token; and what the manual says of it, command by command.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use buttress_config::{Admin, Rules};
use http::{Request, header};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use tokio::net::TcpListener;

const MANUAL: &str = include_str!("../../../../docs/configuration.md");
const TOKEN: &str = "a-long-secret";

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// The public listener and the private one.
async fn listen(rules: &Rules) -> (SocketAddr, SocketAddr) {
    let public = Router::new()
        .fallback(get(|| async { "well" }))
        .layer(rules.server());
    let admin = Admin::new(rules.clone()).token("oncall", TOKEN).unwrap();
    let private = Router::new().nest("/resilience", admin.router());
    (serve(public).await, serve(private).await)
}

async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<Value>,
) -> (u16, Value) {
    let client: Client<HttpConnector, Body> = Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://{address}{path}"));
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let body = body.map_or(Body::empty(), |body| Body::from(body.to_string()));
    let response = client.request(request.body(body).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn who_has_the_token_changes_what_the_public_listener_does() {
    let rules =
        Rules::from_toml("[server.defaults]\npressure = false\nrate_limit = \"1 per hour\"");
    let (public, private) = listen(&rules.unwrap()).await;
    let status = async || ask(public, "GET", "/", None, None).await.0;
    assert_eq!((status().await, status().await), (200, 429));

    let body = json!({ "policy": "server.defaults/rate_limit", "shadow": true });
    let shadow = async |token| {
        let path = "/resilience/shadow";
        ask(private, "POST", path, token, Some(body.clone())).await
    };
    for token in [None, Some("another"), Some("a-long-secret2")] {
        let (refused, problem) = shadow(token).await;
        assert_eq!((refused, &problem["status"]), (401, &json!(401)));
    }
    assert_eq!(status().await, 429, "nothing has changed");
    let (done, answer) = shadow(Some(TOKEN)).await;
    assert_eq!((done, &answer["after"]), (200, &json!("shadow")));
    assert_eq!(status().await, 200);

    let path = "/resilience/policies";
    assert_eq!(ask(private, "GET", path, None, None).await.0, 401);
    let (_, answer) = ask(private, "GET", path, Some(TOKEN), None).await;
    assert_eq!(answer["policies"][0]["would_have_refused"], 1);
    // Where it is not mounted, it is not.
    let (_, answer) = ask(public, "GET", path, Some(TOKEN), None).await;
    assert_eq!(answer, Value::Null);
}

/// A directory with the manual's first file.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("buttress-manual-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let file = MANUAL.split("```toml\n").nth(1).unwrap();
        let file = file.split("```").next().unwrap();
        std::fs::write(path.join("resilience.toml"), file).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The commands of the section about operators, and the answers that they are said to have.
fn commands() -> Vec<(String, Value)> {
    let section = MANUAL
        .split("\n## ")
        .find(|section| section.starts_with("For operators"));
    let blocks = section.unwrap().split("```sh\n").skip(1);
    let command_and_answer = blocks.map(|block| {
        let (command, rest) = block.split_once("```").unwrap();
        let answer = rest.split_once("```json\n").unwrap().1;
        let answer = answer.split("```").next().unwrap();
        (command.to_owned(), serde_json::from_str(answer).unwrap())
    });
    command_and_answer.collect()
}

/// Whether all that the manual says is there; there may be more.
fn within(said: &Value, found: &Value) -> bool {
    match (said, found) {
        (Value::Object(said), Value::Object(found)) => said
            .iter()
            .all(|(name, said)| found.get(name).is_some_and(|found| within(said, found))),
        (Value::Array(said), Value::Array(found)) => said
            .iter()
            .all(|said| found.iter().any(|found| within(said, found))),
        _ => said == found,
    }
}

#[tokio::test]
async fn the_manuals_commands_are_answered_as_it_says() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("SKIPPED: there is no curl");
        return;
    }
    let directory = Directory::new();
    let rules = Rules::load(directory.0.join("resilience.toml")).unwrap();
    let (_, private) = listen(&rules).await;
    let commands = commands();
    for request in ["policies", "config", "breaker", "shadow", "reload"] {
        let path = format!("localhost:9090/resilience/{request}");
        let shown = commands.iter().any(|(command, _)| command.contains(&path));
        assert!(shown, "the manual has no {request}");
    }
    for (command, said) in commands {
        let here = directory.0.clone();
        let run = command.replace("localhost:9090", &private.to_string());
        let run = move || {
            let mut shell = Command::new("sh");
            shell.args(["-e", "-c", &run]).current_dir(here);
            shell.env("TOKEN", TOKEN).output().unwrap()
        };
        let output = tokio::task::spawn_blocking(run).await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let text = text.replace(&format!("{}/", directory.0.display()), "");
        let found: Value = serde_json::from_str(&text).unwrap_or_else(|_| {
            let why = String::from_utf8_lossy(&output.stderr);
            panic!("{command} says {text}{why}")
        });
        assert!(within(&said, &found), "{command} says {found:#}");
    }
}

#[test]
fn what_is_missing_or_otherwise_is_not_within() {
    let found = json!({ "a": [{ "b": 1, "c": 2 }], "d": null });
    assert!(within(&json!({ "a": [{ "b": 1 }] }), &found));
    for said in [json!({ "a": [{ "b": 2 }] }), json!({ "e": 1 }), json!([])] {
        assert!(!within(&said, &found), "{said}");
    }
}
