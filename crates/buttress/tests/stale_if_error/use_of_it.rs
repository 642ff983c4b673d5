//! When something stale is used, and what is kept.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_last_good_answer_stands_in_with_its_age_and_a_note() {
    let callee = kept();
    let fields = [
        ("cache-control", PERMITTED),
        ("age", "7"),
        ("etag", "\"x\""),
        ("connection", "x-hop"),
        ("x-hop", "gone"),
    ];
    let first = callee.ask(get(&[]), &fields).await;
    assert_eq!(first.headers()["age"], "7");
    assert_eq!(first.headers()["x-hop"], "gone");
    assert!(first.extensions().get::<StoodIn>().is_none());
    advance(Duration::from_secs(100)).await;
    callee.is_well(false);
    let stale = callee.ask(get(&[("user-agent", "another")]), &[]).await;
    assert_eq!(
        (stale.status(), stale.body().as_str()),
        (StatusCode::OK, "well, thank you")
    );
    assert_eq!(stale.headers()["age"], "107");
    assert_eq!(stale.headers()["etag"], "\"x\"");
    assert!(!stale.headers().contains_key("x-hop"));
    assert!(!stale.headers().contains_key("warning"));
    let note = stale.extensions().get::<StoodIn>().unwrap();
    assert_eq!(note.status(), Some(StatusCode::SERVICE_UNAVAILABLE));
    // It is no cache: the callee was asked both times.
    assert_eq!(callee.calls.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn it_is_used_as_long_as_it_says_and_no_longer() {
    let callee = kept();
    callee.ask(get(&[]), DIRECTIVE).await;
    advance(Duration::from_secs(360)).await;
    assert!(callee.has_kept(get(&[])).await);
    advance(Duration::from_secs(1)).await;
    assert!(!callee.has_kept(get(&[])).await);
}

#[tokio::test(start_paused = true)]
async fn the_users_longest_time_caps_what_the_answer_says() {
    let builder = StaleIfError::builder().longest(Duration::from_secs(10));
    let callee = Callee::new(builder.build().unwrap());
    callee.ask(get(&[]), DIRECTIVE).await;
    advance(Duration::from_secs(70)).await;
    assert!(callee.has_kept(get(&[])).await);
    advance(Duration::from_secs(1)).await;
    assert!(!callee.has_kept(get(&[])).await);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_says_nothing_is_kept_only_if_the_user_says_so() {
    let callee = kept();
    callee.ask(get(&[]), &[]).await;
    assert!(!callee.has_kept(get(&[])).await);
    let builder = StaleIfError::builder().unless_told(Duration::from_secs(10));
    let callee = Callee::new(builder.build().unwrap());
    callee.ask(get(&[]), &[]).await;
    advance(Duration::from_secs(10)).await;
    assert!(callee.has_kept(get(&[])).await);
}

#[tokio::test(start_paused = true)]
async fn errors_refusals_and_the_four_statuses_are_failures_and_nothing_else_is() {
    for (code, stands_in) in [
        (500, true),
        (502, true),
        (503, true),
        (504, true),
        (501, false),
        (429, false),
        (404, false),
    ] {
        let callee = kept();
        callee.ask(get(&[]), DIRECTIVE).await;
        callee.is_well(false);
        let answer = callee
            .ask_for(get(&[]), || status(200), || Ok(status(code)))
            .await
            .unwrap();
        assert_eq!(answer.status() == StatusCode::OK, stands_in, "{code}");
    }
    let callee = kept();
    callee.ask(get(&[]), DIRECTIVE).await;
    callee.is_well(false);
    let rejection = Rejection::new(Reason::CircuitOpen, "breaker");
    let error = || Err(rejection.into());
    let answer = callee
        .ask_for(get(&[]), || status(200), error)
        .await
        .unwrap();
    let note = answer.extensions().get::<StoodIn>().unwrap();
    assert_eq!((note.status(), note.rejection()), (None, Some(&rejection)));
    let mistake = || Err(Rejection::new(Reason::BadDeadline, "deadline").into());
    assert!(
        callee
            .ask_for(get(&[]), || status(200), mistake)
            .await
            .is_err()
    );
    let refused = || {
        let mut response = status(429);
        response
            .extensions_mut()
            .insert(Rejection::new(Reason::RateLimited, "limit"));
        Ok(response)
    };
    let answer = callee
        .ask_for(get(&[]), || status(200), refused)
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_for_everybody_is_not_kept() {
    for (name, value) in [
        ("cache-control", "private, stale-if-error=300"),
        ("cache-control", "no-store, stale-if-error=300"),
        ("cache-control", "no-cache, stale-if-error=300"),
        ("cache-control", "must-revalidate, stale-if-error=300"),
        ("vary", "*"),
        ("vary", "user-agent"),
        ("set-cookie", "a=b"),
        ("content-length", "5"),
    ] {
        let callee = Callee::new(
            StaleIfError::builder()
                .unless_told(Duration::from_secs(9))
                .build()
                .unwrap(),
        );
        callee.ask(get(&[]), &[(name, value)]).await;
        assert!(!callee.has_kept(get(&[])).await, "{name}: {value}");
    }
    for (name, value) in [
        ("authorization", "Bearer x"),
        ("cookie", "a=b"),
        ("range", "bytes=0-0"),
        ("if-none-match", "\"x\""),
        ("cache-control", "no-store"),
    ] {
        let callee = kept();
        callee.ask(get(&[(name, value)]), DIRECTIVE).await;
        assert!(callee.layer.is_empty(), "{name}");
        callee.ask(get(&[]), DIRECTIVE).await;
        assert!(!callee.has_kept(get(&[(name, value)])).await, "{name}");
    }
    let callee = kept();
    callee.ask(request(Method::HEAD, &[]), DIRECTIVE).await;
    assert!(callee.layer.is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_variant_gets_nothing() {
    let callee = kept();
    callee
        .ask(get(&[("accept-language", "de")]), DIRECTIVE)
        .await;
    assert!(!callee.has_kept(get(&[("accept-language", "fr")])).await);
    assert!(callee.has_kept(get(&[("accept-language", "de")])).await);
}

#[tokio::test(start_paused = true)]
async fn a_request_says_how_old_an_answer_it_wants() {
    let callee = kept();
    callee.ask(get(&[]), DIRECTIVE).await;
    advance(Duration::from_secs(100)).await;
    for (control, stands_in) in [
        ("max-age=100", true),
        ("max-age=99", false),
        ("stale-if-error=40", true),
        ("stale-if-error=39", false),
        ("no-cache", false),
    ] {
        let with = callee.ask_variant(control).await;
        assert_eq!(with, stands_in, "{control}");
    }
}

impl Callee {
    async fn ask_variant(&self, control: &'static str) -> bool {
        self.has_kept(get(&[("cache-control", control)])).await
    }
}

#[tokio::test(start_paused = true)]
async fn what_changes_the_resource_or_shows_it_changed_removes_what_was_kept() {
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let callee = kept();
        callee.ask(get(&[]), DIRECTIVE).await;
        // One that fails changes nothing.
        callee.is_well(false);
        callee.ask(request(method.clone(), &[]), &[]).await;
        callee.is_well(true);
        assert!(callee.has_kept(get(&[])).await);
        callee.ask(request(method.clone(), &[]), &[]).await;
        assert!(!callee.has_kept(get(&[])).await, "{method}");
    }
    for (code, removes) in [
        (200, true),
        (301, true),
        (404, true),
        (410, true),
        (429, false),
        (501, false),
    ] {
        let callee = kept();
        callee.ask(get(&[]), DIRECTIVE).await;
        let later = || status(code);
        callee
            .ask_for(get(&[]), later, || Ok(status(503)))
            .await
            .unwrap();
        assert_eq!(callee.has_kept(get(&[])).await, !removes, "{code}");
    }
}
