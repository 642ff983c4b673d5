//! Hedging of gRPC, as its proposal A6 has it.

use crate::callee::{Act, Log, NEVER, call, grpc, grpc_request, millis, policy};
use buttress::Deadline;

#[tokio::test(start_paused = true)]
async fn grpc_learns_how_many_attempts_came_before() {
    let acts = [grpc(1_000, "0")];
    let (log, ..) = call(policy(3, 50), &acts, grpc_request()).await;
    let previous = |log: &Log| {
        let all = log.all();
        let each = all.iter().map(|seen| {
            let header = seen.headers.get("grpc-previous-rpc-attempts");
            header.map(|value| value.to_str().unwrap().to_owned())
        });
        each.collect::<Vec<_>>()
    };
    let text = |number: &str| Some(number.to_owned());
    assert_eq!(previous(&log), [None, text("1"), text("2")]);
    assert!(log.all().iter().all(|seen| seen.body == "a message"));
    // It is itself a second attempt of somebody's.
    let mut retried = grpc_request();
    retried
        .headers_mut()
        .insert("grpc-previous-rpc-attempts", 1.into());
    let (log, ..) = call(policy(2, 50), &acts, retried).await;
    assert_eq!(previous(&log), [text("1"), text("2")]);
    let mut nonsense = grpc_request();
    let value = "many".parse().unwrap();
    nonsense
        .headers_mut()
        .insert("grpc-previous-rpc-attempts", value);
    let (log, ..) = call(policy(2, 50), &acts, nonsense).await;
    assert_eq!(previous(&log), [text("many"), text("1")]);
}

#[tokio::test(start_paused = true)]
async fn a_non_fatal_code_sends_the_next_at_once() {
    let acts = [grpc(10, "14"), grpc(10, "14"), grpc(10, "0")];
    let (log, status, took) = call(policy(3, 50), &acts, grpc_request()).await;
    assert_eq!((status.as_str(), took), ("0", 30));
    assert_eq!(log.times(), [0, 10, 20]);
    // No more than that many; then the last answer is the answer.
    let (log, status, took) = call(policy(2, 50), &acts, grpc_request()).await;
    assert_eq!((log.all().len(), status.as_str(), took), (2, "14", 20));
    // The delay counts anew from there.
    let acts = [grpc(10, "14"), grpc(1_000, "0"), grpc(5, "0")];
    let (log, _, took) = call(policy(3, 50), &acts, grpc_request()).await;
    assert_eq!((log.times(), took), (vec![0, 10, 60], 65));
}

#[tokio::test(start_paused = true)]
async fn a_fatal_code_ends_the_call() {
    let acts = [grpc(1_000, "0"), grpc(10, "3"), grpc(1, "0")];
    let (log, status, took) = call(policy(3, 50), &acts, grpc_request()).await;
    assert_eq!((log.all().len(), status.as_str(), took), (2, "3", 60));
    let (log, status, took) = call(policy(3, 50), &acts[1..], grpc_request()).await;
    assert_eq!((log.all().len(), status.as_str(), took), (1, "3", 10));
}

#[tokio::test(start_paused = true)]
async fn without_a_delay_all_copies_are_sent_at_once() {
    let acts = [grpc(100, "0"), grpc(10, "14"), grpc(20, "0")];
    let (log, status, took) = call(policy(3, 0), &acts, grpc_request()).await;
    assert_eq!(
        (log.times(), status.as_str(), took),
        (vec![0, 0, 0], "0", 20)
    );
    // As soon as the first has sent its message, that is: looked for after 1, 2 and 4 ms.
    let slow_reader = Act {
        reads_after: 5,
        ..grpc(100, "0")
    };
    let acts = [slow_reader, grpc(10, "14"), grpc(20, "0")];
    let (log, _, took) = call(policy(3, 0), &acts, grpc_request()).await;
    assert_eq!((log.times(), took), (vec![0, 7, 7], 27));
}

#[tokio::test(start_paused = true)]
async fn pushback_stops_hedges_or_delays_them() {
    let pushed_back = |pushback| Act {
        pushback: Some(pushback),
        ..grpc(10, "14")
    };
    for stop in ["-1", "soon", "60001"] {
        let acts = [pushed_back(stop), grpc(10, "0")];
        let (log, status, took) = call(policy(3, 50), &acts, grpc_request()).await;
        assert_eq!((log.all().len(), status.as_str(), took), (1, "14", 10));
    }
    let acts = [pushed_back("200"), grpc(10, "0")];
    let (log, status, took) = call(policy(3, 50), &acts, grpc_request()).await;
    assert_eq!(
        (log.times(), status.as_str(), took),
        (vec![0, 210], "0", 220)
    );
    // What one was told holds for the others.
    let acts = [grpc(400, "0"), pushed_back("200"), grpc(10, "0")];
    let (log, _, took) = call(policy(3, 50), &acts, grpc_request()).await;
    assert_eq!((log.times(), took), (vec![0, 50, 260], 270));
    let acts = [grpc(400, "0"), pushed_back("-1"), grpc(10, "0")];
    let (log, _, took) = call(policy(3, 50), &acts, grpc_request()).await;
    assert_eq!((log.times(), took), (vec![0, 50], 400));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_answered_unread_is_not_hedged_any_more() {
    let unread = Act {
        reads_after: NEVER,
        pushback: Some("200"),
        ..grpc(10, "14")
    };
    let acts = [unread, grpc(10, "0")];
    let (log, status, took) = call(policy(3, 50), &acts, grpc_request()).await;
    assert_eq!((log.times(), status.as_str(), took), (vec![0], "14", 10));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_waited_for_that_comes_after_the_deadline() {
    let acts = [
        Act {
            pushback: Some("200"),
            ..grpc(10, "14")
        },
        grpc(10, "0"),
    ];
    for (deadline, expected) in [(205, ("14", 10)), (300, ("0", 220))] {
        let mut request = grpc_request();
        Deadline::after(millis(deadline)).put(request.extensions_mut());
        let (_, status, took) = call(policy(3, 50), &acts, request).await;
        assert_eq!((status.as_str(), took), expected);
    }
}
