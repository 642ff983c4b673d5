//! What the tests share.
#![allow(dead_code, reason = "not every test uses all of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress_health::Endpoints;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use std::time::Duration;
use tower::{Service, ServiceExt};

/// Only a hang takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A probe's status and text.
pub(crate) async fn probe(endpoints: &Endpoints, path: &str) -> (u16, String) {
    let request = Request::get(path).body(()).unwrap();
    let response = endpoints.clone().oneshot(request).await.unwrap();
    text(response).await
}

pub(crate) async fn text(response: Response<Full<Bytes>>) -> (u16, String) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// A probe that waits for nothing: it must be answered at once.
pub(crate) fn probe_at_once(endpoints: &mut Endpoints, path: &'static str) -> u16 {
    let request = Request::get(path).body(()).unwrap();
    let answer = endpoints.call(request).into_inner();
    answer.unwrap().status().as_u16()
}

/// Whether this is such a process. Otherwise `--ignored` would run what never ends.
pub(crate) fn is_a_process_of_its_own() -> bool {
    std::env::var_os(CHILD).is_some()
}

const CHILD: &str = "BUTTRESS_HEALTH_TEST_CHILD";

/// This very test binary, to run one of its tests as a process of its own.
pub(crate) fn this_test(name: &str) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command
        .env(CHILD, "1")
        .args(["--exact", name, "--ignored", "--nocapture"])
        .kill_on_drop(true);
    command
}
