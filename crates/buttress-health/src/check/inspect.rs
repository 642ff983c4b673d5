use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Something that a [`Check`](crate::Check) can ask.
///
/// Each closure that returns a future of a `Result<(), E>` is one, if `E` can be displayed. The
/// error's text is the reason that those may read whom the listener allows to.
///
/// `M` tells closures apart from types of your own; leave it at its default.
///
/// # Cancellation
///
/// The future is dropped when the check's timeout passes, and when the
/// [`Health`](crate::Health) handle is dropped.
pub trait Inspect<M = ()>: Send + Sync + 'static {
    /// Whether it asks another service. Such a check is soft by default, whatever its kind is,
    /// except at startup.
    const IS_DEPENDENCY: bool = false;

    /// Asks once.
    fn inspect(&self) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// Tells closures apart from other implementations of [`Inspect`].
#[derive(Clone, Copy, Debug)]
pub struct ByClosure(());

impl<F, Fut, E> Inspect<ByClosure> for F
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>> + Send,
    E: fmt::Display,
{
    async fn inspect(&self) -> Result<(), Fault> {
        self().await.map_err(Fault::new)
    }
}

/// Why a check failed: one line of at most 256 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(Arc<str>);

impl Fault {
    /// A fault with this text. What is longer than 256 characters is cut, and control characters
    /// become blanks, since the text stands in a line of a response.
    pub fn new(reason: impl fmt::Display) -> Self {
        let mut line = Line::default();
        // It stops the text that goes on after the line is full.
        let _ = fmt::write(&mut line, format_args!("{reason}"));
        Self(line.text.into())
    }

    /// The text.
    pub fn reason(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

/// Takes so much of a text, however much there is.
#[derive(Default)]
struct Line {
    text: String,
    characters: usize,
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.characters == LONGEST_REASON {
                return Err(fmt::Error);
            }
            let blank = character.is_control();
            self.text.push(if blank { ' ' } else { character });
            self.characters += 1;
        }
        Ok(())
    }
}

const LONGEST_REASON: usize = 256;

/// An [`Inspect`] whose type is forgotten.
pub(crate) type Erased = Arc<dyn Fn() -> Answer + Send + Sync>;

pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>>;

pub(super) fn erase<I: Inspect<M>, M>(inspect: I) -> Erased {
    let inspect = Arc::new(inspect);
    Arc::new(move || {
        let inspect = Arc::clone(&inspect);
        Box::pin(async move { inspect.inspect().await })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_one_line_of_bounded_length() {
        let fault = Fault::new(format_args!("connection\r\nrefused {}", "é".repeat(10_000)));
        assert!(fault.reason().starts_with("connection  refused é"));
        assert_eq!(fault.reason().chars().count(), 256);
    }
}
