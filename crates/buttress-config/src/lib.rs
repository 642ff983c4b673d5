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
    let on = |p: policy::AnyPolicy| {
        let p = Shadow::new(policy::Barred::Plain(p));
        p.enforce();
        p
    };
    let policies = policy::Policies::new(vec![
        on(policy::AnyOf::RateLimit(rate)),
        on(policy::AnyOf::Bulkhead(slots)),
    ]);
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
mod check;
pub mod explain;
pub mod problem;
mod schema;
pub mod settings;
pub mod source;

pub use problem::{Problem, Problems, Severity};
pub use schema::schema;
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
        show!(
            <Policies as Policy<R>>::Permit,
            <Policies as Policy<R>>::Waiting,
            <AnyPolicy as Policy<R>>::Permit,
            crate::server::Stack<()>,
            crate::rules::OfRoute
        );
    }
}
