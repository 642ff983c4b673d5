//! Criticality: which calls to refuse first, told to everyone who works for them.
//!
//! An overloaded service that refuses at random refuses checkouts for the sake of reports. So every
//! call has a [`Criticality`], and whatever sheds load refuses the lowest first:
//! [`Prioritized`](crate::Prioritized) does it in front of any policy, and a waiting room with
//! [`Discipline::Priority`](crate::Discipline::Priority) serves the highest first.
//!
//! The criticality is found in the request's extensions. [`IncomingCriticality`] puts it there: from
//! a header if the caller may be believed, by the route, or by a closure.
//! [`OutgoingCriticality`] writes it on the requests that are made to do the work, so that the
//! services further in refuse the same calls.
//!
//! # How it fails when misused
//!
//! A criticality is worth what is done with it: hand it on, by putting the incoming request's
//! criticality into the outgoing one's extensions. And a header that strangers may set is a way to
//! the front for strangers: name whom to [believe](IncomingCriticality::trusting).
//!
//! ```
//! use buttress::Criticality;
//!
//! let incoming = http::Request::new(());
//! let mut outgoing = http::Request::new(());
//!
//! // What works for the incoming request is as critical as it is.
//! Criticality::of(incoming.extensions()).put(outgoing.extensions_mut());
//! ```
//!
//! In axum, a handler takes the request, or its `http::Extensions`. `Extension<Criticality>` is not for
//! this: the default criticality is not stored, so that extractor would refuse ordinary calls.
//!
//! ```
//! use axum::body::Body;
//! use buttress::Criticality;
//! use buttress::criticality::OutgoingCriticality;
//! use http::{Extensions, Request};
//! use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
//!
//! # async fn send(_: Request<Body>) -> Result<http::Response<Body>, BoxError> { Err("offline".into()) }
//! async fn handler(incoming: Extensions) -> String {
//!     let client = ServiceBuilder::new()
//!         .layer(OutgoingCriticality::new())
//!         .service(service_fn(send));
//!     let mut request = Request::new(Body::empty());
//!     Criticality::of(&incoming).put(request.extensions_mut());
//!     match client.oneshot(request).await {
//!         Ok(response) => response.status().to_string(),
//!         Err(error) => error.to_string(),
//!     }
//! }
//! # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(handler));
//! ```

mod incoming;
mod outgoing;
mod trust;

pub use incoming::{IncomingCriticality, IncomingCriticalityService};
pub use outgoing::{OutgoingCriticality, OutgoingCriticalityService};
pub use trust::{Everybody, Nobody, PeersIn, Trust, peers_in};

use crate::deadline::Deadline;
pub use buttress_core::Criticality;
use buttress_core::Look;
use http::Request;
use std::time::Instant;

/// Looks at what a request carries: the criticality and the [`Deadline`] in its extensions.
///
/// ```
/// use buttress::Look;
/// use buttress::criticality::{Carried, Criticality};
///
/// let mut request = http::Request::new(());
/// Criticality::Sheddable.put(request.extensions_mut());
/// assert_eq!(Carried.criticality(&request), Criticality::Sheddable);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Carried;

impl<B> Look<Request<B>> for Carried {
    fn criticality(&self, call: &Request<B>) -> Criticality {
        Criticality::of(call.extensions())
    }

    fn deadline(&self, call: &Request<B>) -> Option<Instant> {
        Deadline::of(call.extensions()).map(Deadline::instant)
    }
}

/// The header that carries a criticality, unless another is named.
const HEADER: http::HeaderName = http::HeaderName::from_static("x-criticality");
