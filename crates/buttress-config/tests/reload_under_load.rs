//! Reloads while a proxy is under load, over real sockets: what is protected as a server and as a
//! client of an upstream, with streams in both directions that last for several reloads.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use buttress::repeat::ReplayBody;
use buttress_config::{Reload, Rules};
use futures_util::stream;
use http::{Uri, header};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};

/// Every policy of them changes with the number.
fn rules_of(number: u64) -> String {
    format!(
        r#"
        [server.defaults]
        pressure = false
        deadline = "{deadline}s"
        bulkhead = {bulkhead}

        [[server.route]]
        match = {{ path = "/{{kind}}" }}
        bulkhead = {bulkhead}
        rate_limit = "{rate}/s"
        timeout = "{timeout}s"

        [upstream.origin]
        timeout = "{timeout}s"
        attempt_timeout = {{ headers = "{attempt}s" }}
        retry = {{ attempts = {attempts}, longest_wait = "1s" }}
        circuit_breaker = {{ consecutive_failures = {attempts} }}
        rate_limit = "{rate}/s"
        bulkhead = {bulkhead}
        "#,
        deadline = 200 + number % 3,
        timeout = 100 + number % 3,
        attempt = 10 + number % 3,
        attempts = 2 + number % 3,
        bulkhead = 100 + number % 7,
        rate = 1_000_000 + number,
    )
}

/// A file that is replaced by renaming another one to its name.
struct File(PathBuf);

impl File {
    fn new(name: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("buttress-load-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = Self(directory);
        file.replace(0);
        file
    }

    fn path(&self) -> PathBuf {
        self.0.join("rules.toml")
    }

    fn replace(&self, number: u64) {
        let next = self.0.join("next");
        std::fs::write(&next, rules_of(number)).unwrap();
        std::fs::rename(&next, self.path()).unwrap();
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What happened so far.
#[derive(Default)]
struct Seen {
    /// Requests that the origin got.
    received: AtomicU64,
    /// Requests that were answered well and whole.
    answered: AtomicU64,
    /// Pieces of streams.
    pieces: AtomicU64,
    /// Told at each of them.
    progress: Notify,
}

const PIECES: u64 = 6;

/// A body of which a piece follows after each reload.
fn paced(mut reloads: watch::Receiver<u64>) -> Body {
    reloads.mark_unchanged();
    Body::from_stream(stream::unfold(
        (reloads, 0),
        |(mut reloads, sent)| async move {
            if sent == PIECES {
                return None;
            }
            if sent > 0 {
                // An error says that there are no more, and the rest follows at once.
                let _ = reloads.changed().await;
            }
            let piece = Bytes::from(format!("piece {sent}\n"));
            Some((Ok::<_, Infallible>(piece), (reloads, sent + 1)))
        },
    ))
}

fn whole() -> String {
    (0..PIECES)
        .map(|sent| format!("piece {sent}\n"))
        .collect::<Vec<_>>()
        .concat()
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn origin(seen: &Arc<Seen>, reloads: &watch::Receiver<u64>) -> SocketAddr {
    let (seen, reloads) = (Arc::clone(seen), reloads.clone());
    let count = move |request: Request| {
        seen.received.fetch_add(1, Ordering::Relaxed);
        request
    };
    let app = Router::new()
        .route("/quick", get(|| async { "well" }))
        .route("/stream", get(move || async move { paced(reloads) }))
        .route(
            "/echo",
            post(|request: Request| async { request.into_body() }),
        );
    serve(app.layer(tower::util::MapRequestLayer::new(count))).await
}

type Origin = BoxCloneSyncService<Request, Response, BoxError>;

async fn proxy(rules: &Rules, origin: SocketAddr) -> SocketAddr {
    let client: Client<HttpConnector, ReplayBody<Body>> =
        Client::builder(TokioExecutor::new()).build_http();
    let call = service_fn(move |mut request: http::Request<ReplayBody<Body>>| {
        let path = request.uri().path();
        *request.uri_mut() = Uri::try_from(format!("http://{origin}{path}")).unwrap();
        let client = client.clone();
        async move { client.request(request).await.map_err(BoxError::from) }
    });
    let protected = ServiceBuilder::new()
        .layer(rules.upstream("origin").unwrap())
        .service(call)
        .map_response(|response: http::Response<_>| {
            let mut response = response.map(Body::new);
            response.headers_mut().remove(header::TRANSFER_ENCODING);
            response
        });
    let pass = |State(origin): State<Origin>, request: Request| async {
        // Whatever goes wrong is not 200.
        origin
            .oneshot(request)
            .await
            .map_err(|error| error.to_string())
    };
    let app = Router::new()
        .route("/{kind}", get(pass).post(pass))
        .layer(rules.server())
        .with_state(BoxCloneSyncService::new(protected));
    serve(app).await
}

/// Callers that go on until there are no more reloads.
struct Load {
    seen: Arc<Seen>,
    reloads: watch::Sender<u64>,
    callers: Vec<JoinHandle<()>>,
}

impl Load {
    async fn begin(rules: &Rules) -> Self {
        let seen = Arc::new(Seen::default());
        let (reloads, told) = watch::channel(0);
        let origin = origin(&seen, &told).await;
        let proxy = proxy(rules, origin).await;
        let callers = ["quick", "quick", "stream", "echo"].map(|kind| {
            let (seen, told) = (Arc::clone(&seen), told.clone());
            tokio::spawn(async move {
                let client: Client<HttpConnector, Body> =
                    Client::builder(TokioExecutor::new()).build_http();
                while told.has_changed().is_ok() {
                    call(&client, kind, proxy, &seen, &told).await;
                }
            })
        });
        Self {
            seen,
            reloads,
            callers: callers.into(),
        }
    }

    /// Says that there was a reload; and that of each kind of call something got through since.
    async fn went_on(&self, number: u64) {
        let (answered, pieces) = (self.answered(), self.pieces());
        self.reloads.send_replace(number);
        self.until(|| self.answered() > answered && self.pieces() > pieces)
            .await;
    }

    /// Waits for what comes true while calls get through.
    async fn until(&self, condition: impl Fn() -> bool) {
        while !condition() {
            self.seen.progress.notified().await;
            let mut callers = self.callers.iter();
            assert!(!callers.any(JoinHandle::is_finished), "a call was lost");
        }
    }

    fn answered(&self) -> u64 {
        self.seen.answered.load(Ordering::Relaxed)
    }

    fn pieces(&self) -> u64 {
        self.seen.pieces.load(Ordering::Relaxed)
    }

    /// All calls come to their end; each was made once; and none is still counted.
    async fn end(self, rules: &Rules) {
        drop(self.reloads);
        for caller in self.callers {
            caller.await.unwrap();
        }
        let received = self.seen.received.load(Ordering::Relaxed);
        assert_eq!(received, self.seen.answered.load(Ordering::Relaxed));
        while rules.policies().iter().any(|policy| {
            let in_flight = policy.details.get("in_flight");
            in_flight.is_some_and(|count| count.as_u64() != Some(0))
        }) {
            tokio::task::yield_now().await;
        }
    }
}

async fn call(
    client: &Client<HttpConnector, Body>,
    kind: &str,
    proxy: SocketAddr,
    seen: &Seen,
    reloads: &watch::Receiver<u64>,
) {
    let request = Request::builder().uri(format!("http://{proxy}/{kind}"));
    let request = match kind {
        "echo" => request.method("POST").body(paced(reloads.clone())),
        _ => request.body(Body::empty()),
    };
    let response = client.request(request.unwrap()).await.unwrap();
    let status = response.status();
    let mut body = response.into_body();
    let mut text = Vec::new();
    while let Some(frame) = body.frame().await {
        text.extend_from_slice(frame.unwrap().data_ref().unwrap());
        if kind != "quick" {
            seen.pieces.fetch_add(1, Ordering::Relaxed);
            seen.progress.notify_one();
        }
    }
    let expected = if kind == "quick" {
        "well".to_owned()
    } else {
        whole()
    };
    let text = String::from_utf8(text).unwrap();
    assert_eq!((status.as_u16(), text), (200, expected), "{kind}");
    seen.answered.fetch_add(1, Ordering::Relaxed);
    seen.progress.notify_one();
}

/// What hangs fails, however slow the machine is.
async fn in_time(test: impl Future<Output = ()>) {
    let test = tokio::time::timeout(Duration::from_secs(60), test);
    test.await.unwrap();
}

fn load(path: &Path) -> Rules {
    Rules::load(path).unwrap_or_else(|problems| panic!("{problems}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_reloads_lose_no_call_of_a_proxy() {
    in_time(async {
        let file = File::new("thousand");
        let rules = load(&file.path());
        let load = Load::begin(&rules).await;
        for number in 1..=1_000 {
            file.replace(number);
            assert_eq!(rules.reload(), Ok(Reload::Changed));
            if number % 10 == 0 {
                load.went_on(number).await;
            }
        }
        assert_eq!(rules.generation(), 1_001);
        load.end(&rules).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_renamed_into_place_under_load_loses_no_call() {
    in_time(async {
        let file = File::new("renamed");
        let rules = Rules::watch(file.path()).unwrap();
        let load = Load::begin(&rules).await;
        for number in 1..=30 {
            file.replace(number);
            load.until(|| rules.generation() > number).await;
            assert_eq!(rules.generation(), number + 1);
            load.went_on(number).await;
        }
        load.end(&rules).await;
    })
    .await;
}
