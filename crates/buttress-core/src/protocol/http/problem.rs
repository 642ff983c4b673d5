//! What each reason means in HTTP and in gRPC, and the problem documents (RFC 9457).

use crate::rejection::{Reason, Rejection};
use ::http::StatusCode;
use bytes::Bytes;

pub(super) struct Meaning {
    pub(super) status: StatusCode,
    pub(super) grpc_status: &'static str,
    /// Everything up to the closing brace.
    document: &'static str,
    whole_document: &'static str,
}

/// Builds the document when compiled, so that refusing writes nothing.
macro_rules! meaning {
    ($status:ident, $number:literal, $grpc:literal, $type:literal, $title:literal, $detail:literal) => {
        &Meaning {
            status: StatusCode::$status,
            grpc_status: $grpc,
            document: meaning!(@ $number, $type, $title, $detail),
            whole_document: concat!(meaning!(@ $number, $type, $title, $detail), "}"),
        }
    };
    (@ $number:literal, $type:literal, $title:literal, $detail:literal) => {
        concat!(
            r#"{"type":""#, $type, r#"","title":""#, $title, r#"","status":"#, $number,
            r#","detail":""#, $detail, r#"""#
        )
    };
}

macro_rules! unavailable {
    ($detail:literal) => {
        meaning!(
            SERVICE_UNAVAILABLE,
            "503",
            "14",
            "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
            "Service Unavailable",
            $detail
        )
    };
}

macro_rules! too_late {
    ($detail:literal) => {
        meaning!(
            GATEWAY_TIMEOUT,
            "504",
            "4",
            "about:blank",
            "Gateway Timeout",
            $detail
        )
    };
}

macro_rules! bad_request {
    ($detail:literal) => {
        meaning!(
            BAD_REQUEST,
            "400",
            "3",
            "about:blank",
            "Bad Request",
            $detail
        )
    };
}

pub(super) const fn meaning(reason: Reason) -> &'static Meaning {
    match reason {
        Reason::RateLimited => meaning!(
            TOO_MANY_REQUESTS,
            "429",
            "8",
            "https://iana.org/assignments/http-problem-types#quota-exceeded",
            "Too Many Requests",
            "the quota is used up"
        ),
        Reason::BulkheadFull => unavailable!("too many calls are under way"),
        Reason::WaitedTooLong => unavailable!("the call waited too long for its turn"),
        Reason::Overloaded => unavailable!("the service is overloaded"),
        Reason::CircuitOpen => unavailable!("the service is recovering"),
        Reason::Throttled => unavailable!("the service turns calls away"),
        Reason::Draining => unavailable!("the service is shutting down"),
        Reason::KeyUnavailable => unavailable!("the service cannot tell who makes the call"),
        Reason::TimedOut => too_late!("the call took too long"),
        Reason::DeadlinePassed => too_late!("the deadline has passed"),
        Reason::BadDeadline => bad_request!("the deadline cannot be read"),
        Reason::KeyMissing => bad_request!("the call does not say who makes it"),
    }
}

/// The problem document. Only a policy that announces its quota is named in it.
pub(super) fn document(rejection: &Rejection, meaning: &Meaning) -> Bytes {
    let Some(quota) = rejection.exceeded() else {
        return Bytes::from_static(meaning.whole_document.as_bytes());
    };
    let escapes = quota.policy.matches(['"', '\\']).count();
    let length = meaning.document.len() + START.len() + quota.policy.len() + escapes + END.len();
    // Exactly as long as it will be, so that it is not moved when it is done.
    let mut document = String::with_capacity(length);
    document.push_str(meaning.document);
    document.push_str(START);
    // A name is printable ASCII, of which JSON escapes these two.
    for character in quota.policy.chars() {
        if matches!(character, '"' | '\\') {
            document.push('\\');
        }
        document.push(character);
    }
    document.push_str(END);
    Bytes::from(document)
}

const START: &str = r#","violated-policies":[""#;
const END: &str = "\"]}";

#[cfg(test)]
mod tests {
    use super::*;

    const REASONS: [Reason; 12] = [
        Reason::TimedOut,
        Reason::DeadlinePassed,
        Reason::BadDeadline,
        Reason::BulkheadFull,
        Reason::WaitedTooLong,
        Reason::RateLimited,
        Reason::Overloaded,
        Reason::CircuitOpen,
        Reason::Throttled,
        Reason::Draining,
        Reason::KeyMissing,
        Reason::KeyUnavailable,
    ];

    #[test]
    fn every_document_says_what_the_reason_and_the_status_say() {
        for reason in REASONS {
            let Meaning {
                status,
                whole_document,
                ..
            } = meaning(reason);
            let detail = format!(r#""detail":"{}"}}"#, reason.message());
            assert!(whole_document.ends_with(&detail), "{whole_document}");
            let status_line = format!(
                r#""title":"{}","status":{},"#,
                status.canonical_reason().unwrap(),
                status.as_u16()
            );
            assert!(whole_document.contains(&status_line), "{whole_document}");
        }
    }

    #[test]
    fn every_message_percent_encodes_to_itself() {
        for reason in REASONS {
            let plain = |byte| (0x20..0x7f).contains(&byte) && byte != b'%';
            assert!(reason.message().bytes().all(plain), "{reason:?}");
        }
    }
}
