//! Policies per route and per upstream from a file.

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
        upstreams: Default::default(),
        generation: 0,
    };
    Server::new(rules::Current::new(compiled))
}
mod build;
pub mod problem;
pub mod settings;
pub mod source;

pub use problem::{Problem, Problems, Severity};
pub use settings::Settings;
pub use source::{Document, Format};

#[cfg(test)]
mod sizes {
    #[test]
    fn sizes() {
        use buttress::Policy;
        use http::Request;
        type R = Request<()>;
        macro_rules! show { ($($t:ty),+) => { $(println!("{:5} {}", size_of::<$t>(), stringify!($t));)+ } }
        use crate::policy::*;
        show!(<ServerPolicies as Policy<R>>::Permit, <ServerPolicies as Policy<R>>::Waiting,
          <AnyRateLimit as Policy<R>>::Permit, <AnyBulkhead as Policy<R>>::Permit, <Managed<Barred<AnyBulkhead>> as Policy<R>>::Permit,
          <buttress::AdaptiveLimit<AnyLimit> as Policy<R>>::Permit, <buttress::Bulkhead as Policy<R>>::Permit, <buttress::FairShare<AnyKey> as Policy<R>>::Permit,
          <Managed<Barred<buttress::Pressure>> as Policy<R>>::Permit, <buttress::DeadlineShedder as Policy<R>>::Permit,
          <Managed<AnyRateLimit> as Policy<R>>::Permit,
          <AnyPace as Policy<R>>::Permit,<buttress::QueueDelay as Policy<R>>::Permit,
          <buttress::RateLimit as Policy<R>>::Permit,
          <AnyBulkhead as Policy<R>>::Waiting,
          Request<()>, http::Response<()>, <ClientPolicies as Policy<R>>::Permit, <AnyBreaker as Policy<R>>::Permit);
    }
}
