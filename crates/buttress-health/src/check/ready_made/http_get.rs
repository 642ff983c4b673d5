use super::tcp::Target;
use crate::check::{Fault, Inspect};
use buttress::SettingError;
use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::Empty;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use std::pin::pin;

/// Whether a URL answers with a status from 200 to 399, as Kubernetes has it. HTTP/1 without TLS,
/// a connection of its own each time, and the body is not read.
///
/// ```
/// use buttress_health::{Check, HttpGet};
///
/// let search = Check::readiness("search", HttpGet::from("http://search.internal:9200/_cat")?);
/// # let _ = search;
/// # Ok::<(), buttress::SettingError>(())
/// ```
#[derive(Debug)]
pub struct HttpGet {
    uri: Uri,
    target: Target,
}

impl HttpGet {
    /// Asks `url`, which must be absolute and start with `http://`.
    ///
    /// # Errors
    ///
    /// It is not such a URL.
    pub fn from(url: &str) -> Result<Self, SettingError> {
        let refused = || {
            SettingError::new(
                "url",
                format_args!("{url:?}"),
                "an absolute URL that starts with `http://`",
            )
        };
        let uri: Uri = url.parse().map_err(|_| refused())?;
        let plain = uri.scheme_str() == Some("http");
        let host = uri.host().filter(|host| plain && !host.is_empty());
        let host = host.ok_or_else(refused)?;
        let port = uri.port_u16().unwrap_or(80);
        let target = Target::new(format!("{host}:{port}"));
        Ok(Self { uri, target })
    }

    async fn status(&self) -> Result<http::StatusCode, Fault> {
        let stream = TokioIo::new(self.target.connect().await?);
        let (mut sender, connection) = handshake(stream).await.map_err(Fault::new)?;
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let host = self
            .uri
            .authority()
            .map_or("", |authority| authority.as_str());
        // Not what may stand before the host.
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let request = Request::get(path)
            .header(header::HOST, host)
            .header(header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(Fault::new)?;
        let mut answer = pin!(sender.send_request(request));
        let answer = tokio::select! {
            biased;
            answer = &mut answer => answer,
            // It may end in the very moment in which it answers.
            _ = connection => answer.await,
        };
        Ok(answer.map_err(Fault::new)?.status())
    }
}

impl Inspect for HttpGet {
    const IS_DEPENDENCY: bool = true;

    async fn inspect(&self) -> Result<(), Fault> {
        let status = self.status().await?;
        if status.is_success() || status.is_redirection() {
            return Ok(());
        }
        Err(Fault::new(format_args!("answered {status}")))
    }
}
