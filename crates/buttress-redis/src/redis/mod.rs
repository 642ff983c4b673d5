//! The engine on Redis and Valkey.

mod builder;
mod error;
mod lines;
mod script;
mod target;
mod trust;

pub use builder::RedisBuilder;
pub use error::ConnectError;

use crate::ask::{Action, Answer, Ask};
use crate::rule::Rule;
use crate::store::{Answering, Store, StoreError};
use arc_swap::ArcSwap;
use lines::Lines;
use parking_lot::Mutex;
use script::{Script, Scripts};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The engine on a Redis or Valkey server, or a cluster of them.
///
/// Each step is one script on the server, by the server's clock: one round trip, and nothing
/// comes between. A key is a text of 40 bytes or so that expires when its limit is whole again,
/// so idle clients cost nothing. Scripts are called by their digests; a server that has
/// forgotten them is sent the text again. A key that holds something else (a list, a text that is
/// not ours) is replaced.
///
/// It needs Redis 5 or later, or any Valkey: earlier servers forbid a script to write after it
/// has looked at the clock.
pub struct RedisStore {
    lines: ArcSwap<Lines>,
    target: target::Target,
    scripts: Scripts,
    /// Since when no probe was answered.
    unanswered: Mutex<Option<Instant>>,
}

impl Store for RedisStore {
    fn ask(&self, ask: Ask) -> Answering<'_, Answer> {
        Box::pin(async move {
            let Ask { key, rule, action } = ask;
            let (script, first, second) = match rule {
                Rule::Even { interval, burst } => {
                    (&self.scripts.even, interval.as_nanos() as u64, burst)
                }
                Rule::Window { length, limit } => {
                    (&self.scripts.window, length.as_micros() as u64, limit)
                }
            };
            let (action, least, most, patience) = match action {
                Action::Take {
                    least,
                    most,
                    patience,
                } => ("t", least, most, patience),
                Action::GiveBack(back) => ("g", back, back, Duration::ZERO),
                Action::Charge(used) => ("c", used, used, Duration::ZERO),
            };
            // A year at most, like every setting.
            let patience = patience.as_nanos() as u64;
            let call = script.call(&key, |call| {
                call.arg(first).arg(second);
                call.arg(action).arg(least).arg(most).arg(patience);
            });
            let (taken, wait, left, whole): (u32, u64, u32, u64) = self.run(script, call).await?;
            Ok(Answer {
                taken,
                wait: Duration::from_micros(wait),
                left,
                whole: Duration::from_micros(whole),
            })
        })
    }

    fn present<'a>(&'a self, fleet: &'a str, instance: u64) -> Answering<'a, u32> {
        Box::pin(async move {
            self.renew_dead_lines();
            let key = format!("{fleet}:instances");
            let script = &self.scripts.presence;
            let call = script.call(&key, |call| {
                call.arg(instance).arg(PRESENCE.as_millis() as u64);
            });
            let answer = self.run(script, call).await;
            self.lines.load_full().check().await?;
            // One that became a replica answers pings and runs no script: only new lines lead away
            // from it.
            if answer.is_ok() {
                *self.unanswered.lock() = None;
            }
            answer
        })
    }
}

impl RedisStore {
    /// A peer that vanished without a word leaves connections that look well and never answer.
    fn renew_dead_lines(&self) {
        let now = Instant::now();
        let mut unanswered = self.unanswered.lock();
        let since = unanswered.get_or_insert(now);
        if now - *since < PATIENCE {
            return;
        }
        *since = now;
        if let Ok(lines) = self.target.lines() {
            self.lines.store(Arc::new(lines));
        }
    }

    async fn run<T: redis::FromRedisValue>(
        &self,
        script: &Script,
        call: redis::Cmd,
    ) -> Result<T, StoreError> {
        let lines = self.lines.load_full();
        let mut answer = lines.send(&call).await;
        if answer.as_ref().is_err_and(script::is_unknown) {
            answer = lines.send(&script.with_text(&call)).await;
        }
        redis::from_redis_value(answer?).map_err(StoreError::new)
    }
}

impl From<redis::RedisError> for StoreError {
    fn from(error: redis::RedisError) -> Self {
        Self::new(error)
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}

/// How long probes may go unanswered before the connections are made anew: as long as it may take
/// to make one.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long an instance counts that is not heard of.
const PRESENCE: Duration = Duration::from_secs(10);
