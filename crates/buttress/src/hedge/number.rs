use buttress_core::Plain;

/// How an attempt says how many came before it.
///
/// [`Plain`] says nothing, and `Http` says it to gRPC, in `grpc-previous-rpc-attempts`. There is no
/// need for others to implement it.
pub trait Number<Attempt> {
    /// Writes down that `previous` attempts were made before this one.
    fn number(&self, attempt: &mut Attempt, previous: u32);
}

impl<Attempt, F> Number<Attempt> for Plain<F> {
    #[inline]
    fn number(&self, _: &mut Attempt, _: u32) {}
}

#[cfg(feature = "http")]
mod http {
    use super::Number;
    use ::http::{HeaderName, HeaderValue, Request};
    use buttress_core::Http;
    use buttress_core::protocol::is_grpc;

    impl<B, C, M> Number<Request<B>> for Http<C, M> {
        fn number(&self, attempt: &mut Request<B>, previous: u32) {
            let headers = attempt.headers_mut();
            if is_grpc(headers) {
                // Attempts of a retry further out came before as well.
                let before = headers.get(&PREVIOUS_ATTEMPTS);
                let before = before.and_then(|before| before.to_str().ok()?.parse().ok());
                let previous = previous.saturating_add(before.unwrap_or(0));
                headers.insert(PREVIOUS_ATTEMPTS, HeaderValue::from(previous));
            }
        }
    }

    const PREVIOUS_ATTEMPTS: HeaderName = HeaderName::from_static("grpc-previous-rpc-attempts");
}
