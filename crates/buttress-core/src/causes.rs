//! What an error is by.

use std::any::Any;
use std::error::Error;

/// The first error of a kind: `error` itself, or one in its chain of sources.
pub(crate) fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The same for errors of a type that nothing is known about, not even that it is an [`Error`].
pub(crate) fn of<T: Error + 'static, E: 'static>(error: &E) -> Option<&T> {
    let error: &dyn Any = error;
    error.downcast_ref().or_else(|| {
        let error = error.downcast_ref::<Box<dyn Error + Send + Sync>>()?;
        find(&**error)
    })
}
