use axum::extract::MatchedPath;
use buttress_core::{Key, MissingKey};
use http::Request;

/// Tells calls apart by axum's route: `/users/{id}`, whatever the id.
///
/// The template is known once the route is, so the layer belongs on a route
/// (`MethodRouter::layer`, `Router::route_layer`) or around a router whose routes are all known
/// (`Router::layer`). Elsewhere calls have no key; they are refused with
/// [`Reason::KeyUnavailable`](crate::Reason::KeyUnavailable), and the log says once what to do.
///
/// ```
/// use buttress::{Bulkhead, key::path_template};
///
/// let per_route = Bulkhead::builder(16).by(path_template()).build()?;
/// # let _ = per_route;
/// # Ok::<(), buttress::SettingError>(())
/// ```
pub const fn path_template() -> PathTemplate {
    PathTemplate { _private: () }
}

/// The key that [`path_template`] makes.
#[derive(Clone, Copy, Debug)]
pub struct PathTemplate {
    _private: (),
}

impl<B> Key<Request<B>> for PathTemplate {
    type Key<'a>
        = &'a str
    where
        B: 'a;

    fn key<'a>(&self, call: &'a Request<B>) -> Result<&'a str, MissingKey> {
        call.extensions()
            .get::<MatchedPath>()
            .map(MatchedPath::as_str)
            .ok_or(MissingKey::NotSetUp(
                "no route has been matched yet; put the layer on a route or its method router, \
                 or use `Router::route_layer`",
            ))
    }
}
