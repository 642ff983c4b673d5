/// A value that cannot exist: the [`Waiting`](crate::Policy::Waiting) of a policy that decides at
/// once.
///
/// ```
/// use buttress_core::Never;
///
/// fn poll(waiting: &mut Never) {
///     match *waiting {} // there is no case to write
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Never {}
