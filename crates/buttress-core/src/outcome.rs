/// How an admitted call went.
///
/// A call that a policy further in refused counts as [`Cancelled`](Self::Cancelled): it never
/// reached the callee, so nothing was learnt about it. A call that ran out of time counts as
/// [`Failure`](Self::Failure); that of its caller's deadline may mean less, see
/// [`Permit::expired`](crate::Permit::expired).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The callee did its work. A client's own mistake (404, `INVALID_ARGUMENT`) is one too: the
    /// callee is well.
    Success,
    /// The callee failed, was too slow, or panicked.
    Failure,
    /// The callee says that it has too much to do (429, `RESOURCE_EXHAUSTED`, a
    /// 503 with `Retry-After`).
    Overload,
    /// Nobody learnt how it would have gone: the caller went away.
    Cancelled,
}
