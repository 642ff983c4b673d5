//! A server that speaks TLS, with an authority of its own and users with passwords.
#![cfg(feature = "tls")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress::RateLimit;
use buttress_redis::{BuildOn, ConnectError, Fleet, RedisBuilder};
use common::{Server, call, free_port, is_installed, speaks_tls, until};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};
use std::path::PathBuf;
use std::time::Duration;

/// Signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut about = CertificateParams::new(Vec::new()).unwrap();
        about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        about.distinguished_name = called("an authority");
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(about, key).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate and its key.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut about = CertificateParams::new([name.to_owned()]).unwrap();
        // Other than the authority's, or it looks as if it had signed itself.
        about.distinguished_name = called(name);
        let certificate = about.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

fn called(name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    called
}

/// A server that has a port with TLS as well, and where its files are.
struct Secure {
    server: Server,
    port: u16,
    directory: PathBuf,
}

impl Secure {
    async fn start(authority: &Authority, clients: &str) -> Option<Self> {
        if is_installed() && !speaks_tls() {
            eprintln!("SKIPPED: the server that is installed was built without TLS");
            return None;
        }
        let port = free_port();
        let name = format!("buttress-redis-tls-{}-{port}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let (certificate, key) = authority.sign("127.0.0.1");
        let file = |name: &str, text: &str| {
            let path = directory.join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let server = Server::start_with(&[
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &file("certificate", &certificate),
            "--tls-key-file",
            &file("key", &key),
            "--tls-ca-cert-file",
            &file("authority", &authority.pem()),
            "--tls-auth-clients",
            clients,
            "--user",
            "tenant",
            "on",
            ">p/ss:word",
            "~test:*",
            "+@all",
        ])
        .await?;
        Some(Self {
            server,
            port,
            directory,
        })
    }

    /// What is special in an address is written as in every URL.
    fn fleet(&self) -> RedisBuilder {
        let port = self.port;
        Fleet::redis(format!("rediss://tenant:p%2Fss%3Aword@127.0.0.1:{port}/"))
            .namespace("test")
            .deadline(Duration::from_millis(250))
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

async fn is_refused(builder: RedisBuilder) {
    let error = builder.connect().await;
    assert!(
        matches!(error, Err(ConnectError::Unreachable(_))),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_server_is_trusted_if_the_given_authority_signed_it_and_else_not() {
    let authority = Authority::new();
    let Some(mut secure) = Secure::start(&authority, "no").await else {
        return;
    };
    let stranger = Authority::new();
    // Nobody told the system of it.
    is_refused(secure.fleet()).await;
    is_refused(secure.fleet().certificate_authorities(stranger.pem())).await;
    is_refused(Fleet::redis(format!("redis://127.0.0.1:{}/", secure.port))).await;
    let port = secure.port;
    let wrong = Fleet::redis(format!("rediss://tenant:guess@127.0.0.1:{port}/"));
    is_refused(wrong.certificate_authorities(authority.pem())).await;
    // One of several will do.
    let both = format!("{}{}", stranger.pem(), authority.pem());
    let trusting = secure.fleet().certificate_authorities(both);
    let fleet = trusting.connections(2).connect().await.unwrap();
    let limit = RateLimit::per_hour(3).build_on(&fleet).unwrap();
    for _ in 0..3 {
        call(&limit).await.unwrap();
    }
    assert!(call(&limit).await.is_err() && !fleet.is_degraded());
    // It is trusted again when it comes back.
    secure.server.kill();
    until("the loss is noticed", || fleet.is_degraded()).await;
    secure.server.start_again().await;
    until("the return is noticed", || !fleet.is_degraded()).await;
}

#[tokio::test]
async fn a_client_shows_its_certificate_to_a_server_that_asks_for_one() {
    let authority = Authority::new();
    let Some(secure) = Secure::start(&authority, "yes").await else {
        return;
    };
    let trusting = || secure.fleet().certificate_authorities(authority.pem());
    is_refused(trusting()).await;
    let (certificate, key) = Authority::new().sign("a stranger");
    is_refused(trusting().client_certificate(certificate, key)).await;
    let (certificate, key) = authority.sign("a client");
    let known = trusting().client_certificate(certificate, key);
    let fleet = known.connect().await.unwrap();
    let limit = RateLimit::per_hour(1).build_on(&fleet).unwrap();
    call(&limit).await.unwrap();
    assert!(call(&limit).await.is_err() && !fleet.is_degraded());
}
