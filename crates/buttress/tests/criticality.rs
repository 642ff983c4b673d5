//! Which calls are how critical, and that the least critical are refused first.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod load;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use buttress::criticality::{Everybody, peers_in};
use buttress::key::PeerAddress;
use buttress::{
    Bulkhead, Criticality, IncomingCriticality, OutgoingCriticality, Plain, Prioritized,
};
use http::{HeaderValue, Request, Response, StatusCode};
use load::{CAPACITY, Random, offer, service};
use parking_lot::Mutex;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tower::{Layer, Service, ServiceExt, service_fn};

/// The criticality that a request has inside of a layer.
async fn inside<L, S>(layer: L, request: Request<()>) -> Criticality
where
    L: Layer<
            tower::util::ServiceFn<
                fn(Request<()>) -> std::future::Ready<Result<Criticality, Infallible>>,
            >,
            Service = S,
        >,
    S: Service<Request<()>, Response = Criticality, Error = Infallible>,
{
    #[allow(clippy::needless_pass_by_value, reason = "it is a service")]
    fn see(request: Request<()>) -> std::future::Ready<Result<Criticality, Infallible>> {
        std::future::ready(Ok(Criticality::of(request.extensions())))
    }
    let see: fn(_) -> _ = see;
    layer.layer(service_fn(see)).oneshot(request).await.unwrap()
}

fn request(values: &[&'static str], peer: Option<[u8; 4]>) -> Request<()> {
    let mut request = Request::new(());
    for value in values {
        let value = HeaderValue::from_static(value);
        request.headers_mut().append("x-criticality", value);
    }
    if let Some(peer) = peer {
        request.extensions_mut().insert(PeerAddress(peer.into()));
    }
    request
}

#[tokio::test]
async fn a_forged_header_is_ignored() {
    let forged = || request(&["CRITICAL_PLUS"], Some([203, 0, 113, 9]));
    let nobody = IncomingCriticality::new().otherwise(Criticality::Sheddable);
    assert_eq!(
        inside(nobody.clone(), forged()).await,
        Criticality::Sheddable
    );
    let ours = nobody.trusting(peers_in(["10.0.0.0/8"]).unwrap());
    assert_eq!(inside(ours.clone(), forged()).await, Criticality::Sheddable);
    // A stranger without an address is one, too.
    let nameless = request(&["CRITICAL_PLUS"], None);
    assert_eq!(inside(ours, nameless).await, Criticality::Sheddable);
}

/// The header that a request has inside of a layer.
async fn header_inside<L>(layer: L, request: Request<()>) -> Option<String>
where
    L: Layer<Seeing>,
    L::Service: Service<Request<()>, Response = Option<String>, Error = Infallible>,
{
    let see: Seeing = service_fn(|request: Request<()>| {
        let value = request.headers().get("x-criticality");
        let value = value.map(|value| value.to_str().unwrap().to_owned());
        std::future::ready(Ok(value))
    });
    layer.layer(see).oneshot(request).await.unwrap()
}

type Seeing = tower::util::ServiceFn<
    fn(Request<()>) -> std::future::Ready<Result<Option<String>, Infallible>>,
>;

#[tokio::test]
async fn a_header_that_is_not_believed_is_removed() {
    let nobody = IncomingCriticality::new();
    let forged = request(&["CRITICAL_PLUS"], None);
    assert_eq!(header_inside(nobody, forged).await, None);
    let everybody = IncomingCriticality::new().trusting(Everybody);
    for values in [&["URGENT"][..], &["SHEDDABLE", "CRITICAL_PLUS"]] {
        let unclear = request(values, None);
        assert_eq!(header_inside(everybody.clone(), unclear).await, None);
    }
    let believed = request(&["SHEDDABLE"], None);
    assert_eq!(
        header_inside(everybody, believed).await.as_deref(),
        Some("SHEDDABLE")
    );
}

/// A front that works for its callers by calling another service: what that one sees.
fn front(seen: &Arc<Mutex<Vec<String>>>) -> Router {
    let seen = Arc::clone(seen);
    let callee = service_fn(move |request: Request<Body>| {
        let values = request.headers().get_all("x-criticality").iter();
        seen.lock()
            .extend(values.map(|v| v.to_str().unwrap().to_owned()));
        std::future::ready(Ok::<_, Infallible>(Response::new(Body::empty())))
    });
    let client = OutgoingCriticality::new().layer(callee);
    let (forwarding, asking) = (client.clone(), client);
    Router::new()
        // As a proxy does it.
        .route(
            "/forwarded",
            get(|request: Request<Body>| forwarding.oneshot(request)),
        )
        .route(
            "/asked",
            get(|incoming: http::Extensions| {
                let mut request = Request::new(Body::empty());
                Criticality::of(&incoming).put(request.extensions_mut());
                asking.oneshot(request)
            }),
        )
        .layer(IncomingCriticality::new().trusting(peers_in(["10.0.0.0/8"]).unwrap()))
}

#[tokio::test]
async fn a_criticality_goes_through_a_handler_to_its_callee() {
    let seen = Arc::default();
    let front = front(&seen);
    let (ours, stranger) = ([10, 0, 0, 1], [203, 0, 113, 9]);
    for (values, peer, expected) in [
        (&["SHEDDABLE"][..], ours, "SHEDDABLE"),
        (&["CRITICAL_PLUS"], ours, "CRITICAL_PLUS"),
        (&[], ours, "CRITICAL"),
        (&["CRITICAL_PLUS"], stranger, "CRITICAL"),
        (&["CRITICAL_PLUS", "CRITICAL_PLUS"], ours, "CRITICAL"),
    ] {
        for path in ["/forwarded", "/asked"] {
            let mut request = request(values, Some(peer)).map(|()| Body::empty());
            *request.uri_mut() = path.parse().unwrap();
            let answer = front.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            let passed_on = std::mem::take(&mut *seen.lock());
            assert_eq!(passed_on, [expected], "{values:?} from {peer:?} at {path}");
        }
    }
}

#[tokio::test]
async fn a_trusted_caller_is_believed() {
    let ours = IncomingCriticality::new().trusting(peers_in(["10.0.0.0/8"]).unwrap());
    let theirs = request(&["CRITICAL_PLUS"], Some([10, 1, 2, 3]));
    assert_eq!(inside(ours, theirs).await, Criticality::CriticalPlus);
    let by_closure = IncomingCriticality::new()
        .trusting(|request: &Request<()>| request.headers().contains_key("x-client-certificate"));
    let mut certified = request(&["sheddable"], None);
    let value = HeaderValue::from_static("checked");
    certified
        .headers_mut()
        .insert("x-client-certificate", value);
    assert_eq!(inside(by_closure, certified).await, Criticality::Sheddable);
    let named = IncomingCriticality::new().header("x-importance").unwrap();
    let named = named.trusting(Everybody);
    let other = request(&["SHEDDABLE"], None);
    assert_eq!(inside(named, other).await, Criticality::Critical);
}

#[tokio::test]
async fn what_cannot_be_read_counts_as_not_sent() {
    for values in [&["URGENT"][..], &[""], &["SHEDDABLE", "CRITICAL_PLUS"], &[]] {
        let trusting = IncomingCriticality::new().trusting(Everybody);
        let seen = inside(trusting.clone(), request(values, None)).await;
        assert_eq!(seen, Criticality::Critical, "{values:?}");
        let route = trusting.otherwise(Criticality::SheddablePlus);
        let seen = inside(route, request(values, None)).await;
        assert_eq!(seen, Criticality::SheddablePlus, "{values:?}");
    }
}

#[tokio::test]
async fn a_route_or_a_closure_says_it_and_the_innermost_counts() {
    let by_path =
        IncomingCriticality::new().otherwise(|request: &Request<()>| match request.uri().path() {
            "/report" => Criticality::Sheddable,
            _ => Criticality::CriticalPlus,
        });
    let report = Request::get("/report").body(()).unwrap();
    assert_eq!(
        inside(by_path.clone(), report.clone()).await,
        Criticality::Sheddable
    );
    // One that has nothing to say leaves what was said further out.
    let silent = (by_path.clone(), IncomingCriticality::new());
    assert_eq!(inside(silent, report.clone()).await, Criticality::Sheddable);
    let route = IncomingCriticality::new().otherwise(Criticality::Critical);
    assert_eq!(
        inside((by_path, route), report).await,
        Criticality::Critical
    );
}

/// What the callee gets from a client behind the layer.
async fn sent(outgoing: OutgoingCriticality, request: Request<()>) -> Vec<String> {
    let callee = service_fn(|request: Request<()>| {
        let values = request.headers().get_all("x-criticality").iter();
        let values: Vec<_> = values.map(|v| v.to_str().unwrap().to_owned()).collect();
        std::future::ready(Ok::<_, Infallible>(values))
    });
    outgoing.layer(callee).oneshot(request).await.unwrap()
}

#[tokio::test]
async fn outgoing_requests_say_how_critical_they_are() {
    for criticality in Criticality::ALL {
        let mut outgoing = Request::new(());
        criticality.put(outgoing.extensions_mut());
        assert_eq!(
            sent(OutgoingCriticality::new(), outgoing).await,
            [criticality.name()]
        );
    }
    assert_eq!(
        sent(OutgoingCriticality::new(), Request::new(())).await,
        ["CRITICAL"]
    );
}

/// A proxy: what a stranger wrote is not passed on.
#[tokio::test]
async fn a_forged_header_is_not_passed_on() {
    let stranger = request(&["CRITICAL_PLUS", "CRITICAL_PLUS"], None);
    assert_eq!(
        sent(OutgoingCriticality::new(), stranger).await,
        ["CRITICAL"]
    );
}

#[test]
fn nonsense_is_refused_by_name() {
    let field = |error: Option<buttress::SettingError>| error.map(|error| error.field());
    assert_eq!(
        field(IncomingCriticality::new().header("a b").err()),
        Some("header")
    );
    assert_eq!(
        field(OutgoingCriticality::new().header("").err()),
        Some("header")
    );
    assert_eq!(field(peers_in([]).err()), Some("peers_in"));
    assert_eq!(field(peers_in(["10.0.0.0/40"]).err()), Some("peers_in"));
    let slots = Bulkhead::new(1).unwrap();
    let builder = Prioritized::builder(slots, Criticality::Critical);
    assert_eq!(
        field(builder.clone().window(Duration::ZERO).build().err()),
        Some("window")
    );
    assert_eq!(field(builder.named("").build().err()), Some("named"));
}

/// A tenth of the calls is critical, four tenths may wait until the hour is over, and nobody minds
/// about the rest.
fn mixed(draw: f64) -> (Criticality, Criticality) {
    let criticality = match draw {
        ..0.5 => Criticality::Sheddable,
        ..0.9 => Criticality::SheddablePlus,
        _ => Criticality::Critical,
    };
    (criticality, criticality)
}

#[tokio::test(start_paused = true)]
async fn critical_calls_succeed_at_three_times_the_capacity() {
    let slots = Bulkhead::builder(20).waiting_room(20, Duration::from_millis(30));
    let policy = Prioritized::by(slots.build().unwrap(), |call: &Criticality| *call);
    let service = policy.protocol(Plain::new()).layer(service());
    let mut random = Random(1);
    let time = Duration::from_secs(5);
    let tallies = offer(&service, 3.0 * CAPACITY, time, &mut random, mixed).await;
    let part = |criticality| tallies[&criticality].part();
    assert!(
        part(Criticality::Critical) > 0.99,
        "{}",
        part(Criticality::Critical)
    );
    assert!(part(Criticality::Sheddable) < 0.05);
    let answered: usize = tallies.values().map(|tally| tally.answered.len()).sum();
    assert!(answered as f64 > 0.9 * 5.0 * CAPACITY, "{answered}");
    // The trigger is over, and forgotten within a second.
    offer(
        &service,
        0.5 * CAPACITY,
        Duration::from_secs(1),
        &mut random,
        mixed,
    )
    .await;
    let after = offer(
        &service,
        0.5 * CAPACITY,
        Duration::from_secs(1),
        &mut random,
        mixed,
    )
    .await;
    assert!(
        after
            .values()
            .all(|tally| tally.answered.len() == tally.offered)
    );
}
