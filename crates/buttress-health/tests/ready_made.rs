//! The checks that are ready to use, over loopback.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::{Admission, Bulkhead, CircuitBreaker, CircuitState, Now, Plain, Policy};
use buttress_health::{
    BreakerState, BulkheadSaturation, Fault, HttpGet, Inspect, Load, Saturation, TcpConnect,
};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower::{BoxError, Layer, ServiceExt, service_fn};

/// A port where nobody listens.
async fn nobody() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

/// A server that answers each connection with these bytes.
async fn answering(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            let head = String::from_utf8(head).unwrap();
            assert!(
                head.starts_with("GET /health?deep=1 HTTP/1.1\r\n"),
                "{head}"
            );
            assert!(
                head.contains(&format!("\r\nhost: 127.0.0.1:{port}\r\n")),
                "{head}"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}

#[tokio::test]
async fn tcp_connect_passes_where_somebody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in ["127.0.0.1", "localhost"] {
        let check = TcpConnect::to(format!("{host}:{port}"));
        assert_eq!(check.inspect().await, Ok(()));
        assert_eq!(check.inspect().await, Ok(()));
    }
    let fault = TcpConnect::to(format!("127.0.0.1:{}", nobody().await))
        .inspect()
        .await;
    assert!(fault.unwrap_err().reason().contains("refused"));
    for nonsense in ["", "no port", "127.0.0.1:99999"] {
        assert!(TcpConnect::to(nonsense).inspect().await.is_err());
    }
}

#[tokio::test]
async fn http_get_goes_by_the_status() {
    for (answer, fault) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", None),
        // The body is not waited for.
        ("HTTP/1.1 204 No Content\r\n\r\n", None),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\nnever", None),
        ("HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n", None),
        (
            "HTTP/1.1 503 Service Unavailable\r\n\r\n",
            Some("answered 503 Service Unavailable"),
        ),
        (
            "HTTP/1.1 404 Not Found\r\n\r\n",
            Some("answered 404 Not Found"),
        ),
        (
            "no HTTP at all\r\n\r\n",
            Some("invalid HTTP version parsed"),
        ),
        ("", Some("connection closed before message completed")),
    ] {
        let port = answering(answer).await;
        let check = HttpGet::from(&format!("http://127.0.0.1:{port}/health?deep=1")).unwrap();
        let expected = fault.map_or(Ok(()), |fault| Err(Fault::new(fault)));
        assert_eq!(check.inspect().await, expected, "{answer}");
    }
    let port = nobody().await;
    let check = HttpGet::from(&format!("http://127.0.0.1:{port}")).unwrap();
    assert!(
        check
            .inspect()
            .await
            .unwrap_err()
            .reason()
            .contains("refused")
    );
}

#[test]
fn http_get_refuses_what_it_cannot_ask() {
    for url in [
        "",
        "/livez",
        "https://example.com/",
        "example.com",
        "http://",
        "ftp://a/",
    ] {
        assert_eq!(HttpGet::from(url).unwrap_err().field(), "url", "{url}");
    }
    HttpGet::from("http://example.com").unwrap();
    HttpGet::from("http://[::1]:8080/livez").unwrap();
}

#[tokio::test]
async fn a_bulkhead_is_saturated_when_its_slots_are_taken() {
    let slots = Bulkhead::new(4).unwrap();
    let all = BulkheadSaturation::of(&slots);
    let half = BulkheadSaturation::of(&slots).below(0.5).unwrap();
    assert_eq!(all.inspect().await, Ok(()));
    let now = Now::at(tokio::time::Instant::now().into_std());
    let mut permits = Vec::new();
    for taken in 1..=4 {
        let Admission::Admitted(permit) = slots.admit("a call", &now) else {
            panic!("there is a slot left");
        };
        permits.push(permit);
        assert_eq!(half.inspect().await.is_ok(), taken < 2);
        assert_eq!(all.inspect().await.is_ok(), taken < 4);
    }
    assert_eq!(all.inspect().await.unwrap_err().reason(), "4 of 4 taken");
    drop(permits);
    assert_eq!(half.inspect().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_breaker_is_unwell_while_it_refuses_calls() {
    let breaker = CircuitBreaker::new("payments").unwrap();
    let check = BreakerState::of(&breaker);
    assert_eq!(check.inspect().await, Ok(()));
    let down = service_fn(|()| async { Err::<(), BoxError>("down".into()) });
    let service = breaker.protocol(Plain::new()).layer(down);
    while breaker.state() == CircuitState::Closed {
        assert!(service.clone().oneshot(()).await.is_err());
    }
    let fault = check.inspect().await.unwrap_err();
    assert_eq!(fault.reason(), "the circuit is open");
    // Half-open, it needs calls, or it would never close again.
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    assert_eq!(check.inspect().await, Ok(()));
    breaker.force_open();
    let fault = check.inspect().await.unwrap_err();
    assert_eq!(fault.reason(), "the circuit is forced open");
}

#[tokio::test]
async fn a_queue_is_saturated_at_its_bound() {
    let used = Arc::new(AtomicUsize::new(89));
    let load = Arc::clone(&used);
    let queue = Saturation::of(move || Load {
        used: load.load(Ordering::Relaxed),
        capacity: 100,
    });
    let queue = queue.below(0.9).unwrap();
    assert_eq!(queue.inspect().await, Ok(()));
    used.store(90, Ordering::Relaxed);
    assert_eq!(
        queue.inspect().await.unwrap_err().reason(),
        "90 of 100 taken"
    );
    for part in [0.0, -1.0, 1.1, f64::NAN, f64::INFINITY] {
        let queue = Saturation::of(|| Load {
            used: 0,
            capacity: 0,
        });
        assert_eq!(queue.below(part).unwrap_err().field(), "below");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn disk_space_is_compared_with_what_is_left() {
    use buttress_health::DiskSpace;
    let here = std::env::temp_dir();
    assert_eq!(DiskSpace::at_least(1, &here).inspect().await, Ok(()));
    let fault = DiskSpace::at_least(u64::MAX, &here)
        .inspect()
        .await
        .unwrap_err();
    assert!(
        fault.reason().contains(" bytes left, fewer than "),
        "{fault}"
    );
    assert!(
        DiskSpace::at_least(1, here.join("no such folder"))
            .inspect()
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_closure_is_a_check() {
    let good = || async { Ok::<(), Infallible>(()) };
    assert_eq!(good.inspect().await, Ok(()));
    let bad = || async { Err::<(), _>("out of ink") };
    assert_eq!(bad.inspect().await, Err(Fault::new("out of ink")));
}
