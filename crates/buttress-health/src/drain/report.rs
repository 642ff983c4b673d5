/// What taking a process down came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport<T> {
    /// What the server returned; `None` if the grace was over first, and it was cut off.
    pub output: Option<T>,
    /// How many calls were cut off, of those that went through the layer: still in flight when the
    /// grace was over.
    pub calls: usize,
    /// Background work that was cut off, by name.
    pub background: Vec<&'static str>,
}

impl<T> DrainReport<T> {
    /// Whether nothing was cut off.
    pub fn is_clean(&self) -> bool {
        self.output.is_some() && self.calls == 0 && self.background.is_empty()
    }

    pub(super) fn log(&self) {
        let Self {
            calls, background, ..
        } = self;
        if self.is_clean() {
            tracing::info!("drained: nothing was cut off");
        } else {
            let server = self.output.is_none();
            tracing::warn!(
                server,
                calls,
                ?background,
                "drained: cut off what took too long"
            );
        }
    }
}
