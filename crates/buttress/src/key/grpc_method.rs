use buttress_core::{Key, MissingKey};
use http::Request;

/// Tells calls apart by the gRPC method: `package.Service/Method`.
///
/// A client can ask for methods that don't exist, each of which would be a key of its own; the
/// bound on keys holds, and real methods are used more often than made-up ones, so they stay. A
/// path of another shape has no key: the call is refused with
/// [`Reason::KeyMissing`](crate::Reason::KeyMissing).
///
/// ```
/// use buttress::{Bulkhead, key::grpc_method};
///
/// let slots = Bulkhead::builder(16).by(grpc_method()).build()?;
/// # let _ = slots;
/// # Ok::<(), buttress::SettingError>(())
/// ```
pub const fn grpc_method() -> GrpcMethod {
    GrpcMethod { _private: () }
}

/// The key that [`grpc_method`] makes.
#[derive(Clone, Copy, Debug)]
pub struct GrpcMethod {
    _private: (),
}

impl<B> Key<Request<B>> for GrpcMethod {
    type Key<'a>
        = &'a str
    where
        B: 'a;

    fn key<'a>(&self, call: &'a Request<B>) -> Result<&'a str, MissingKey> {
        let path = call.uri().path().strip_prefix('/');
        path.filter(|path| {
            path.split_once('/').is_some_and(|(service, method)| {
                !service.is_empty() && !method.is_empty() && !method.contains('/')
            })
        })
        .ok_or(MissingKey::NotSent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shape_of_a_method_is_a_key() {
        for (path, expected) in [
            ("/pkg.Greeter/SayHello", Ok("pkg.Greeter/SayHello")),
            ("/pkg.Greeter/SayHello?x=1", Ok("pkg.Greeter/SayHello")),
            ("/", Err(MissingKey::NotSent)),
            ("/pkg.Greeter", Err(MissingKey::NotSent)),
            ("/pkg.Greeter/", Err(MissingKey::NotSent)),
            ("//SayHello", Err(MissingKey::NotSent)),
            ("/a/b/c", Err(MissingKey::NotSent)),
        ] {
            let request = Request::get(path).body(()).unwrap();
            assert_eq!(grpc_method().key(&request), expected, "{path}");
        }
    }
}
