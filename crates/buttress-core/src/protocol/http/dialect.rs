use ::http::{HeaderMap, HeaderValue, header};

/// Whether a request or a response with these headers is gRPC's: its content type is
/// `application/grpc`, with or without a suffix, gRPC-Web included.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    Dialect::of(headers).is_grpc()
}

/// What a request speaks, and so what its refusal must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Http,
    Grpc,
    /// gRPC for browsers. A refusal is trailers-only there, too.
    GrpcWeb,
    GrpcWebText,
}

impl Dialect {
    /// Reads the content type.
    #[inline]
    pub(super) fn of(headers: &HeaderMap) -> Self {
        match headers.get(header::CONTENT_TYPE) {
            None => Self::Http,
            Some(content_type) => Self::of_content_type(content_type.as_bytes()),
        }
    }

    fn of_content_type(value: &[u8]) -> Self {
        let Some((start, rest)) = value.split_at_checked(GRPC.len()) else {
            return Self::Http;
        };
        if !start.eq_ignore_ascii_case(GRPC) {
            return Self::Http;
        }
        match rest {
            [] | [b'+' | b';' | b' ', ..] => Self::Grpc,
            [b'-', name @ ..] => {
                let end = name
                    .iter()
                    .position(|byte| matches!(byte, b'+' | b';' | b' '));
                match &name[..end.unwrap_or(name.len())] {
                    b"web" => Self::GrpcWeb,
                    b"web-text" => Self::GrpcWebText,
                    _ => Self::Http,
                }
            }
            _ => Self::Http,
        }
    }

    pub(super) const fn is_grpc(self) -> bool {
        !matches!(self, Self::Http)
    }

    /// The content type of a refusal.
    pub(super) const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Http => "application/problem+json",
            Self::Grpc => "application/grpc",
            Self::GrpcWeb => "application/grpc-web+proto",
            Self::GrpcWebText => "application/grpc-web-text+proto",
        })
    }
}

const GRPC: &[u8] = b"application/grpc";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_only_grpc_is_grpc(bytes: Vec<u8>, rest in "[-+; a-z]{0,12}") {
            prop_assert_eq!(Dialect::of_content_type(&bytes).is_grpc(), false);
            let _ = Dialect::of_content_type(format!("application/grpc{rest}").as_bytes());
        }
    }

    #[test]
    fn content_types_are_told_apart() {
        for (content_type, dialect) in [
            ("application/grpc", Dialect::Grpc),
            ("application/grpc+proto", Dialect::Grpc),
            ("Application/gRPC; charset=utf-8", Dialect::Grpc),
            ("application/grpc-web", Dialect::GrpcWeb),
            ("application/grpc-web+proto", Dialect::GrpcWeb),
            ("application/grpc-web-text", Dialect::GrpcWebText),
            ("application/grpcx", Dialect::Http),
            ("application/grpc-other", Dialect::Http),
            ("application/json", Dialect::Http),
            ("", Dialect::Http),
        ] {
            assert_eq!(
                Dialect::of_content_type(content_type.as_bytes()),
                dialect,
                "{content_type}"
            );
        }
    }
}
