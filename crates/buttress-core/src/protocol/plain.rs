use super::{Protocol, Reject, outcome_of_error};
use crate::outcome::Outcome;
use crate::rejection::Rejection;

/// Speaks in errors, for any service: a refusal is an error, and a call is over when its future
/// resolves.
///
/// A result counts as a success if it is `Ok`, and as a failure if it is not;
/// [`classify`](Self::classify) changes that. An error that is a [`Rejection`], or boxes one, is
/// recognised as the refusal of a layer further in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plain<F = SuccessIfOk> {
    classify: F,
}

impl Plain {
    /// `Ok` is a success.
    pub const fn new() -> Self {
        Self {
            classify: SuccessIfOk,
        }
    }

    /// Lets a function say how a call went.
    ///
    /// ```
    /// use buttress_core::{Outcome, Plain};
    ///
    /// let protocol = Plain::new().classify(|result: Result<&u16, &std::io::Error>| match result {
    ///     Ok(429) => Outcome::Overload,
    ///     Ok(_) => Outcome::Success,
    ///     Err(_) => Outcome::Failure,
    /// });
    /// # let _ = protocol;
    /// ```
    pub fn classify<F>(self, function: F) -> Plain<F> {
        Plain { classify: function }
    }
}

impl<F> Plain<F> {
    /// How a call went.
    #[inline]
    pub fn outcome<Res, Err>(&self, result: &Result<Res, Err>) -> Outcome
    where
        F: Classify<Res, Err>,
    {
        self.classify.classify(result.as_ref())
    }
}

impl<Req, F: Clone> Protocol<Req> for Plain<F> {
    type Context = ();

    #[inline]
    fn remember(&self, _: &Req) {}
}

// So that the compiler explains what `Reject` wants instead of asking for `From<Rejection>`.
#[diagnostic::do_not_recommend]
impl<Req, Res, Err, F> Reject<Req, Res, Err> for Plain<F>
where
    Err: From<Rejection>,
    F: Clone,
{
    #[inline]
    fn reject(&self, (): (), rejection: Rejection) -> Result<Res, Err> {
        Err(rejection.into())
    }
}

/// Says how a call went.
pub trait Classify<Res, Err> {
    /// The outcome that `result` stands for.
    fn classify(&self, result: Result<&Res, &Err>) -> Outcome;
}

/// `Ok` is a success, a refusal is what it is, and any other error is a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SuccessIfOk;

impl<Res, Err: 'static> Classify<Res, Err> for SuccessIfOk {
    #[inline]
    fn classify(&self, result: Result<&Res, &Err>) -> Outcome {
        match result {
            Ok(_) => Outcome::Success,
            Err(error) => outcome_of_error(error),
        }
    }
}

impl<Res, Err, F> Classify<Res, Err> for F
where
    F: Fn(Result<&Res, &Err>) -> Outcome,
{
    fn classify(&self, result: Result<&Res, &Err>) -> Outcome {
        self(result)
    }
}
