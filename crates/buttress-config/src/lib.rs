//! Policies per route from a file.

mod layers;
pub mod policy;
pub mod routes;
mod rules;
mod server;
mod upstream;
pub use server::{Server, ServerFuture, ServerService};
pub use upstream::{UpstreamLayer, UpstreamService};
/// Temporary.
#[doc(hidden)]
pub fn hand_made(
    rate: buttress::RateLimit,
    slots: buttress::Bulkhead<buttress::Carried>,
    timeout: buttress::Timeout,
    deadline: Option<buttress::IncomingDeadline>,
) -> Server {
    use buttress::Shadow;
    use policy::one_of::*;
    let on = |p: Shadow<policy::AnyRateLimit>| {
        p.enforce();
        p
    };
    let policies: policy::ServerPolicies = (
        None,
        None,
        (Some(on(Shadow::new(OneOf4::A(rate)))), None),
        None,
        (
            Some({
                let p = Shadow::new(OneOf2::A(OneOf5::A(slots)));
                p.enforce();
                p
            }),
            None,
        ),
        None,
        None,
    );
    let route = server::Route {
        policies: Some(policies),
        timeout: Some(server::AnyTimeout::Headers(timeout)),
        deadline,
        ..Default::default()
    };
    let m = routes::Match {
        path: Some("/some/{thing}".into()),
        ..Default::default()
    };
    let compiled = rules::Compiled {
        routes: routes::Routes::new([&m]).unwrap(),
        stacks: vec![Default::default(), route],
    };
    Server::new(rules::Current::new(compiled))
}
