use crate::rule::Rule;
use std::time::Duration;

/// A question to a [`Store`](crate::Store), about one key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ask {
    /// What is counted: at most 200 printable ASCII characters. It holds a digest of what the
    /// calls are told apart by, never what a client sent.
    pub key: String,
    /// How it is counted.
    pub rule: Rule,
    /// What is to be done.
    pub action: Action,
}

impl Ask {
    /// To do `action` on what is counted under `key` by `rule`.
    pub fn new(key: impl Into<String>, rule: Rule, action: Action) -> Self {
        Self {
            key: key.into(),
            rule,
            action,
        }
    }
}

/// What a store does to a count, in one step that nothing comes between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Takes as much as is free, from `least` to `most`, or nothing. An even rule may take `least`
    /// out of what comes free within `patience`, too.
    Take {
        /// Less than this is of no use.
        least: u32,
        /// More than this is not wanted.
        most: u32,
        /// How long the taker would wait for it. A window's rule knows no such thing.
        patience: Duration,
    },
    /// Gives back what was taken and not used. More than was taken is not kept.
    GiveBack(u32),
    /// Counts what was used already, even if it is more than the rule allows.
    Charge(u32),
}

/// A store's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// How much was taken.
    pub taken: u32,
    /// How long until it may be used; or, if nothing was taken, until the least could be, if
    /// nobody takes anything meanwhile. After a charge: until one more could be taken.
    pub wait: Duration,
    /// How much could be taken now.
    pub left: u32,
    /// How long until everything could. For an even rule that is the exact debt.
    pub whole: Duration,
}
