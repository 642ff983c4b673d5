use super::{of, response};
use crate::model::Endpoint;
use crate::phase::Phase;
use crate::shared::{News, Shared};
use futures_util::stream::{Stream, unfold};
use std::sync::Arc;
use tokio::sync::watch;
use tonic::Status;
use tonic_health::pb::HealthCheckResponse;
use tonic_health::pb::health_check_response::ServingStatus;

/// The status at once, and then each time it changes. A watcher that reads slowly misses what
/// changed back in the meantime, and costs no memory for it.
pub(super) fn stream(
    shared: Arc<Shared>,
    endpoint: Option<Endpoint>,
) -> impl Stream<Item = Result<HealthCheckResponse, Status>> {
    let watcher = Watcher {
        news: shared.news(),
        _shared: shared,
        endpoint,
        told: None,
    };
    unfold(watcher, |mut watcher| async move {
        let status = watcher.next().await?;
        Some((Ok(response(status)), watcher))
    })
}

struct Watcher {
    news: watch::Receiver<News>,
    /// It holds the sender, so that there is news.
    _shared: Arc<Shared>,
    endpoint: Option<Endpoint>,
    told: Option<ServingStatus>,
}

impl Watcher {
    async fn next(&mut self) -> Option<ServingStatus> {
        loop {
            let news = *self.news.borrow_and_update();
            let status = Some(of(news, self.endpoint));
            if self.told != status {
                self.told = status;
                return status;
            }
            if news.phase >= Phase::Closing {
                return None;
            }
            self.news.changed().await.ok()?;
        }
    }
}
