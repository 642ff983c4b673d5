//! What calls are told apart by.

use super::names::HeaderName;
use crate::source::At;

choices! {
    /// What calls are told apart by.
    pub enum KeyBy {
        /// The address that the connection comes from. Behind a proxy, that is the proxy's.
        Peer(PeerKey) = "peer",
        /// The client's address, also behind proxies that are named.
        ClientAddr(ClientAddrKey) = "client_addr",
        /// What a header says, as in `"header:x-tenant"`. Somebody must check it before.
        Header(HeaderName) = "header",
        /// The route that axum matched: `/users/{id}`, whatever the id.
        PathTemplate = "path_template",
        /// The host that is asked for.
        Authority = "authority",
        /// The gRPC method.
        GrpcMethod = "grpc_method",
        /// The HTTP method.
        Method = "method",
    }

    /// The header in which proxies say whom they speak for.
    pub enum ForwardedBy {
        /// `X-Forwarded-For`: what nearly every proxy sets, and the default.
        XForwardedFor = "x-forwarded-for",
        /// `Forwarded` (RFC 7239).
        Forwarded = "forwarded",
    }

    /// What becomes of a call that has no key.
    pub enum MissingKey {
        /// It is refused: the default.
        Refused = "refused",
        /// All such calls share one key.
        Shared = "shared",
        /// It is admitted.
        Admitted = "admitted",
    }
}

settings! {
    /// The address that the connection comes from.
    #[derive(Default)]
    pub struct PeerKey {
        /// How many leading bits tell IPv6 clients apart: 1 to 128; 64 by default.
        optional ipv6_prefix: u8,
    }

    /// The client's address. If no proxies are named, it is the peer's.
    #[derive(Default)]
    pub struct ClientAddrKey {
        shorthand trusted_hops;
        /// So many proxies stand in front of the service: 1 to 32.
        optional trusted_hops: u8,
        /// The networks in which the proxies are, as `10.0.0.0/8` or single addresses.
        optional trusted_proxies: Vec<At<String>>,
        /// The header that the proxies set: `x-forwarded-for` by default.
        optional header: ForwardedBy,
        /// How many leading bits tell IPv6 clients apart: 1 to 128; 64 by default.
        optional ipv6_prefix: u8,
    }

    /// One policy for each key.
    #[derive(Default)]
    pub struct KeySettings {
        /// One for each of these, instead of one for all calls.
        optional by: KeyBy,
        /// The most keys remembered at a time, from 1 to 2³¹; 100 000 by default.
        optional max_keys: u32,
        /// What becomes of a call that has no key: refused by default.
        optional missing_key: MissingKey,
    }
}
