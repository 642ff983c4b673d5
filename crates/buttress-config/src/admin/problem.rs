use http::StatusCode;
use std::borrow::Cow;

/// Why a request cannot be answered.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) title: &'static str,
    pub(super) detail: Cow<'static, str>,
}

impl Problem {
    pub(super) const UNAUTHORIZED: Self = Self::new(
        StatusCode::UNAUTHORIZED,
        "a token is needed",
        "send the header `Authorization: Bearer TOKEN`",
    );
    pub(super) const HOST: Self = Self::new(
        StatusCode::MISDIRECTED_REQUEST,
        "this is not the host that was asked for",
        "ask for an IP address or localhost, or allow the name by `Admin::hosts`, or set a token",
    );
    pub(super) const NOT_FOUND: Self = Self::new(
        StatusCode::NOT_FOUND,
        "there is nothing here",
        "there are /policies, /config, /breaker, /shadow and /reload",
    );
    pub(super) const METHOD: Self = Self::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "another method is needed",
        "what only looks is GET, and what changes something is POST",
    );
    pub(super) const NOT_JSON: Self = Self::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "the body must be JSON",
        "send the header `Content-Type: application/json`",
    );

    pub(super) const FAILED: Self = Self::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "it failed",
        "that is for us to mend: the log says more",
    );

    const fn new(status: StatusCode, title: &'static str, detail: &'static str) -> Self {
        Self {
            status,
            title,
            detail: Cow::Borrowed(detail),
        }
    }

    /// The body is not what it must be.
    pub(super) const fn body(detail: &'static str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "the body is not understood",
            detail,
        )
    }

    pub(super) const fn too_long() -> Self {
        let detail = "a body has 4 KiB at most";
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is too long",
            detail,
        )
    }

    pub(super) fn unknown_policy(name: &str, nearest: Option<String>) -> Self {
        let name: String = name.chars().take(200).collect();
        let meant = nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
        let detail = format!("there is no `{name}` for which this can be done{meant}");
        Self {
            status: StatusCode::NOT_FOUND,
            title: "there is no such policy",
            detail: detail.into(),
        }
    }

    pub(super) fn bad_file(what: String) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            title: "the file cannot be used, and nothing has changed",
            detail: what.into(),
        }
    }
}
