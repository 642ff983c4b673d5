use buttress::key::{Authority, ClientAddr, GrpcMethod, HeaderKey, HostName, Peer};
use buttress::{Key, MissingKey};
use http::Request;
use std::net::IpAddr;

/// What calls are told apart by, as a file says it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AnyKey {
    /// Who is connected.
    Peer(Peer),
    /// The client behind trusted proxies.
    ClientAddr(ClientAddr),
    /// What a header says.
    Header(HeaderKey),
    /// The host that is asked for.
    Authority(Authority),
    /// The gRPC method.
    GrpcMethod(GrpcMethod),
    /// The HTTP method.
    Method,
    /// axum's route.
    #[cfg(feature = "axum")]
    PathTemplate(buttress::key::PathTemplate),
}

/// The key of one call.
#[derive(Debug, Hash)]
pub enum AnyKeyOf<'a> {
    /// An address.
    Address(IpAddr),
    /// A header's value.
    Value(&'a [u8]),
    /// A host.
    Host(HostName<'a>),
    /// A method or a template.
    Name(&'a str),
}

impl<B> Key<Request<B>> for AnyKey {
    type Key<'a>
        = AnyKeyOf<'a>
    where
        B: 'a;

    #[inline]
    fn key<'a>(&self, call: &'a Request<B>) -> Result<AnyKeyOf<'a>, MissingKey> {
        Ok(match self {
            Self::Peer(key) => AnyKeyOf::Address(key.key(call)?),
            Self::ClientAddr(key) => AnyKeyOf::Address(key.key(call)?),
            Self::Header(key) => AnyKeyOf::Value(key.key(call)?),
            Self::Authority(key) => AnyKeyOf::Host(key.key(call)?),
            Self::GrpcMethod(key) => AnyKeyOf::Name(key.key(call)?),
            Self::Method => AnyKeyOf::Name(call.method().as_str()),
            #[cfg(feature = "axum")]
            Self::PathTemplate(key) => AnyKeyOf::Name(key.key(call)?),
        })
    }
}
