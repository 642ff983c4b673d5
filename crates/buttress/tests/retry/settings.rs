//! Rule 13: nonsense is refused by name.

use buttress::{IncomingAttempt, Retry, SettingError};
use std::time::Duration;

fn field<T>(result: Result<T, SettingError>) -> &'static str {
    result.map_or_else(|error| error.field(), |_| "nothing")
}

#[test]
fn nonsense_is_refused_by_name() {
    let retry = Retry::builder;
    for attempts in [0, 11, u32::MAX] {
        assert_eq!(field(retry().attempts(attempts).build()), "attempts");
    }
    assert_eq!(
        field(retry().replay_limit((16 << 20) + 1).build()),
        "replay_limit"
    );
    for wait in [Duration::ZERO, Duration::MAX] {
        assert_eq!(field(retry().longest_wait(wait).build()), "longest_wait");
    }
    for name in ["", "no header", "x-ümlaut", "line\nbreak"] {
        assert_eq!(
            field(retry().attempt_header(name).build()),
            "attempt_header"
        );
        assert_eq!(field(retry().marker(name).build()), "marker");
        assert_eq!(field(IncomingAttempt::new().header(name)), "header");
        assert_eq!(field(IncomingAttempt::new().marker(name)), "marker");
    }
    assert_eq!(field(retry().named("").build()), "named");
    let error = retry().attempts(0).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`attempts` is 0, but must be from 1 to 10"
    );
    assert_eq!(retry().named("pay").build().unwrap().name(), "pay");
    assert_eq!(
        field(retry().attempts(10).replay_limit(0).build()),
        "nothing"
    );
}
