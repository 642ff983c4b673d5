//! Bodies on their way, and the bounds of what is kept.

use super::*;

#[tokio::test(start_paused = true)]
async fn only_whole_bodies_are_kept_and_frames_pass_through_as_they_were() {
    let with = |body: Frames| {
        let response = Response::builder().header("cache-control", PERMITTED);
        response.body(body).unwrap()
    };
    let callee = kept();
    let broken = || with(body(&["half"], Some(Err("broken".into()))));
    let unwell = || Ok(status(503));
    assert!(callee.ask_for(get(&[]), broken, unwell).await.is_err());
    let trailers = || with(body(&["all"], Some(Ok(Frame::trailers(HeaderMap::new())))));
    callee.ask_for(get(&[]), trailers, unwell).await.unwrap();
    assert!(callee.layer.is_empty());

    // Dropped half-way.
    let layer = callee.layer.clone();
    let service = layer.layer(service_fn(move |_: Asked| {
        ready(Ok::<_, BoxError>(with(body(&["one", "two"], None))))
    }));
    let response = service.clone().oneshot(get(&[])).await.unwrap();
    let mut half = response.into_body();
    let frame = half.frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "one");
    drop(half);
    assert!(layer.is_empty());
    // To the end.
    let mut whole = service.oneshot(get(&[])).await.unwrap().into_body();
    for part in ["one", "two"] {
        assert_eq!(
            whole.frame().await.unwrap().unwrap().into_data().unwrap(),
            part
        );
    }
    assert!(whole.frame().await.is_none());
    assert_eq!(layer.len(), 1);
    layer.clear();
    assert!(layer.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_bound_passes_through_and_is_not_kept() {
    let builder = StaleIfError::builder().max_body(200).max_bytes(10_000);
    let callee = Callee::new(builder.build().unwrap());
    let large = || {
        let response = Response::builder().header("cache-control", PERMITTED);
        response.body(body(&["0123456789"; 20], None)).unwrap()
    };
    let response = callee
        .ask_for(get(&[]), large, || Ok(status(503)))
        .await
        .unwrap();
    assert_eq!(response.body().len(), 200);
    assert!(callee.layer.is_empty());
    // What was kept before is out of date with it.
    callee.ask(get(&[]), DIRECTIVE).await;
    assert_eq!(callee.layer.len(), 1);
    let unwell = || Ok(status(503));
    callee.ask_for(get(&[]), large, unwell).await.unwrap();
    assert!(callee.layer.is_empty());
}

#[tokio::test(start_paused = true)]
async fn neither_bytes_nor_entries_pass_their_bounds() {
    let builder = StaleIfError::builder()
        .max_entries(10)
        .max_bytes(100_000)
        .max_body(10_000);
    let layer = builder.build().unwrap();
    let service = layer.layer(service_fn(|_: Asked| async {
        Ok::<_, BoxError>(answer(DIRECTIVE))
    }));
    for number in 0..200 {
        let request = Request::get(format!("http://example.com/{number}"));
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        response.into_body().collect().await.unwrap();
        assert!(layer.len() <= 10 && layer.bytes() <= 100_000);
    }
    assert!(!layer.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_layer_further_in_gets_its_slot_back_when_something_stale_is_given() {
    let slots = Bulkhead::new(1).unwrap();
    let stale = StaleIfError::builder().build().unwrap();
    let well = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&well);
    let callee = service_fn(move |_: Asked| {
        let well = state.load(Ordering::SeqCst);
        ready(Ok::<_, std::convert::Infallible>(if well {
            answer(DIRECTIVE)
        } else {
            status(500)
        }))
    });
    let service = (stale, slots.clone()).layer(callee);
    let first = service.clone().oneshot(get(&[])).await.unwrap();
    first.into_body().collect().await.unwrap();
    well.store(false, Ordering::SeqCst);
    let stale = service.oneshot(get(&[])).await.unwrap();
    assert_eq!((stale.status(), slots.in_flight()), (StatusCode::OK, 0));
    assert_eq!(stale.body().size_hint().exact(), Some(15));
}
