//! A store behind a wire that can be slow, cut or frozen, on virtual time.

use buttress_redis::{Answer, Answering, Ask, Memory, Store, StoreError};
use std::collections::HashSet;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::sleep;

/// One store for several instances.
pub(crate) struct Wire {
    memory: parking_lot::Mutex<Arc<Memory>>,
    state: AtomicU8,
    latency: AtomicU64,
    asks: AtomicU64,
    present: parking_lot::Mutex<HashSet<u64>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Is {
    Up = 0,
    /// Everything fails at once.
    Cut = 1,
    /// Nothing is ever answered.
    Frozen = 2,
}

impl Wire {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            memory: parking_lot::Mutex::new(Arc::new(Memory::new())),
            state: AtomicU8::new(Is::Up as u8),
            latency: AtomicU64::new(0),
            asks: AtomicU64::new(0),
            present: parking_lot::Mutex::default(),
        })
    }

    pub(crate) fn set(&self, is: Is) {
        self.state.store(is as u8, Ordering::Relaxed);
    }

    pub(crate) fn latency(&self, latency: Duration) {
        self.latency
            .store(latency.as_micros() as u64, Ordering::Relaxed);
    }

    /// How often it was asked to count.
    pub(crate) fn asks(&self) -> u64 {
        self.asks.load(Ordering::Relaxed)
    }

    /// Forgets everything, as a server that is started again does.
    pub(crate) fn empty(&self) {
        *self.memory.lock() = Arc::new(Memory::new());
    }

    async fn pass(&self) -> Result<(), StoreError> {
        let state = self.state.load(Ordering::Relaxed);
        if state == Is::Cut as u8 {
            return Err(StoreError::new("cut"));
        }
        if state == Is::Frozen as u8 {
            pending::<()>().await;
        }
        let latency = self.latency.load(Ordering::Relaxed);
        if latency > 0 {
            sleep(Duration::from_micros(latency)).await;
        }
        Ok(())
    }
}

impl Store for Wire {
    fn ask(&self, ask: Ask) -> Answering<'_, Answer> {
        Box::pin(async move {
            self.asks.fetch_add(1, Ordering::Relaxed);
            self.pass().await?;
            let memory = Arc::clone(&self.memory.lock());
            memory.ask(ask).await
        })
    }

    fn present<'a>(&'a self, _: &'a str, instance: u64) -> Answering<'a, u32> {
        Box::pin(async move {
            self.pass().await?;
            let mut present = self.present.lock();
            present.insert(instance);
            Ok(present.len() as u32)
        })
    }
}
