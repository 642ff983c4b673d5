/// How far a process is on its way down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It is not on its way down.
    #[default]
    Running,
    /// It says that it is not ready, and still takes every call, so that whoever sends calls has
    /// time to notice.
    Noticing,
    /// Its listeners take no new connections. Calls in flight go on.
    Closing,
    /// Calls have ended or were given up. Background work ends.
    Finishing,
    /// All is over but the end of the process.
    Over,
}
