use crate::sharing::{Resource, Variant, is_anybodys};
use buttress_core::{Key, MissingKey};
use http::{Request, header};
use http_body::Body;
use std::hash::{Hash, Hasher};

/// The key by which HTTP requests are coalesced unless told otherwise: see
/// [the module](super#what-is-identical).
#[derive(Clone, Copy, Debug)]
pub struct SameRequest {
    _private: (),
}

impl SameRequest {
    pub(super) const fn new() -> Self {
        Self { _private: () }
    }
}

impl<B: Body> Key<Request<B>> for SameRequest {
    type Key<'a>
        = Same<'a, B>
    where
        B: 'a;

    #[inline]
    fn key<'a>(&self, call: &'a Request<B>) -> Result<Same<'a, B>, MissingKey> {
        if is_anybodys(call) {
            Ok(Same(call))
        } else {
            Err(MissingKey::NotSent)
        }
    }
}

/// What makes two requests the same.
#[derive(Debug)]
pub struct Same<'a, B>(&'a Request<B>);

impl<B> Hash for Same<'_, B> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self(request) = self;
        request.method().hash(state);
        Resource(request).hash(state);
        Variant(request.headers()).hash(state);
        // A cache further in may answer the one request and not the other.
        for control in request.headers().get_all(header::CACHE_CONTROL) {
            control.as_bytes().hash(state);
        }
    }
}
