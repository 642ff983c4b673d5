//! A gRPC server of tonic's that a file protects, over real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use axum::body::HttpBody;
use buttress_config::{Document, Format, Reload, Rules};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Code;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint, Server};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::HealthReporter;
use tower::{Service, ServiceExt};

const FILE: &str = r#"
[server.defaults]
pressure = false

[[server.route]]
match = { grpc = "grpc.health.v1.Health/Watch" }
bulkhead = 1

[[server.route]]
match = { grpc = "grpc.health.v1.Health" }
rate_limit = { rate = "2 per hour" }
"#;

/// A health service behind these rules, and a connection to it.
async fn serve(rules: &Rules) -> (HealthReporter, Channel) {
    let (reporter, health) = tonic_health::server::health_reporter();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().layer(rules.server()).add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap();
    (reporter, channel.connect().await.unwrap())
}

fn whole_server() -> HealthCheckRequest {
    HealthCheckRequest {
        service: String::new(),
    }
}

fn in_flight(rules: &Rules) -> Value {
    let policies = rules.policies();
    let name = "route grpc=grpc.health.v1.Health/Watch/bulkhead";
    let bulkhead = policies.iter().find(|policy| policy.policy == name);
    bulkhead.unwrap().details["in_flight"].clone()
}

#[tokio::test]
async fn a_method_goes_by_its_rule_and_the_others_by_their_services() {
    let rules = Rules::from_toml(FILE).unwrap();
    let (_reporter, channel) = serve(&rules).await;
    let mut client = HealthClient::new(channel);
    for _ in 0..2 {
        client.check(whole_server()).await.unwrap();
    }
    let refused = client.check(whole_server()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    // `Watch` has a rule of its own, and so no rate limit.
    client.watch(whole_server()).await.unwrap();
}

/// So a client of gRPC gets it as a status, and no proxy takes it for an answer that was cut off.
#[tokio::test]
async fn a_refusal_is_trailers_only() {
    let rules = Rules::from_toml(&FILE.replace("2 per hour", "1 per hour")).unwrap();
    let (_reporter, mut channel) = serve(&rules).await;
    let mut client = HealthClient::new(channel.clone());
    client.check(whole_server()).await.unwrap();
    let request = http::Request::post("/grpc.health.v1.Health/Check")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::empty())
        .unwrap();
    let channel = channel.ready().await.unwrap();
    let response = channel.call(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let header = |name: &str| response.headers().get(name).cloned();
    assert_eq!(header("content-type").unwrap(), "application/grpc");
    assert_eq!(header("grpc-status").unwrap(), "8", "RESOURCE_EXHAUSTED");
    assert!(header("grpc-message").is_some());
    assert!(response.body().is_end_stream(), "the head ends the stream");
    let rest = response.into_body().collect().await.unwrap();
    assert!(rest.trailers().is_none_or(http::HeaderMap::is_empty));
    assert!(rest.to_bytes().is_empty());
}

#[tokio::test]
async fn a_stream_passes_and_is_counted_until_it_ends() {
    let rules = Rules::from_toml(FILE).unwrap();
    let (reporter, channel) = serve(&rules).await;
    let mut client = HealthClient::new(channel);
    let mut stream = client.watch(whole_server()).await.unwrap().into_inner();
    let serving = ServingStatus::Serving as i32;
    assert_eq!(stream.message().await.unwrap().unwrap().status, serving);
    // The head was answered long ago.
    assert_eq!(in_flight(&rules), 1);
    let refused = client.watch(whole_server()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");

    // It goes on through a reload, and stays counted.
    let next = format!(
        "{FILE}\n[policy.pool]\nbulkhead = 1\n[[server.route]]\nmatch = {{ path = \"/x\" }}\nuse = [\"pool\"]\n"
    );
    let next = Document::parse("next", &next, Format::Toml).unwrap();
    assert_eq!(rules.replace(next), Ok(Reload::Changed));
    reporter
        .set_service_status("", tonic_health::ServingStatus::NotServing)
        .await;
    let not_serving = ServingStatus::NotServing as i32;
    assert_eq!(stream.message().await.unwrap().unwrap().status, not_serving);
    assert_eq!(in_flight(&rules), 1);

    drop(stream);
    while in_flight(&rules) == 1 {
        tokio::task::yield_now().await;
    }
    let mut next = client.watch(whole_server()).await.unwrap().into_inner();
    assert_eq!(next.message().await.unwrap().unwrap().status, not_serving);
}
