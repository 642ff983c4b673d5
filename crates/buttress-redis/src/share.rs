use crate::fleet::Fleet;
use buttress_core::SettingError;
use std::time::Duration;

/// How a limit is shared by a fleet: exactly, leased or synchronised, and what happens while the
/// store cannot be reached. Made by the methods of [`Fleet`], and given to
/// [`build_on`](crate::BuildOn::build_on).
#[derive(Clone, Debug)]
#[must_use = "give it to `build_on`"]
pub struct Share {
    pub(crate) fleet: Fleet,
    pub(crate) mode: Mode,
    pub(crate) when_unreachable: WhenUnreachable,
}

/// The three ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Exact,
    Leased { lead: Duration },
    Synchronised { period: Duration },
}

/// What becomes of calls while the store cannot be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenUnreachable {
    /// Each instance admits its part: the limit divided by the number of instances, as last
    /// known. So the fleet admits about as much as always. The default.
    #[default]
    LocalShare,
    /// All are admitted: for limits that are a courtesy.
    Admit,
    /// All are refused with [`Reason::Overloaded`](buttress::Reason::Overloaded), which is a 503:
    /// for what must not happen uncounted.
    Refuse,
}

impl Share {
    pub(crate) fn exact(fleet: Fleet) -> Self {
        Self::new(fleet, Mode::Exact)
    }

    pub(crate) fn leased(fleet: Fleet) -> Self {
        Self::new(fleet, Mode::Leased { lead: LEAD })
    }

    pub(crate) fn synchronised(fleet: Fleet, period: Duration) -> Self {
        Self::new(fleet, Mode::Synchronised { period })
    }

    fn new(fleet: Fleet, mode: Mode) -> Self {
        Self {
            fleet,
            mode,
            when_unreachable: WhenUnreachable::LocalShare,
        }
    }

    /// What becomes of calls while the store cannot be reached.
    pub fn when_unreachable(mut self, choice: WhenUnreachable) -> Self {
        self.when_unreachable = choice;
        self
    }

    /// How far ahead a leased limit takes: from 1 ms to 10 s, 20 ms by default. The longer, the
    /// fewer asks, and the more is held by instances.
    ///
    /// Limits that are shared otherwise have no such thing, and leave it aside.
    pub fn lead(mut self, lead: Duration) -> Self {
        self.mode = match self.mode {
            Mode::Leased { .. } => Mode::Leased { lead },
            other => other,
        };
        self
    }

    pub(crate) fn checked(self) -> Result<Self, SettingError> {
        match self.mode {
            Mode::Exact => {}
            Mode::Leased { lead } => check("lead", lead, Duration::from_secs(10), "10 s")?,
            Mode::Synchronised { period } => {
                check("period", period, Duration::from_secs(60), "60 s")?;
            }
        }
        Ok(self)
    }
}

/// A fleet as it is means exactly.
impl From<&Fleet> for Share {
    fn from(fleet: &Fleet) -> Self {
        fleet.exact()
    }
}

fn check(
    field: &'static str,
    value: Duration,
    longest: Duration,
    text: &str,
) -> Result<(), SettingError> {
    if (Duration::from_millis(1)..=longest).contains(&value) {
        return Ok(());
    }
    let value = format_args!("{value:?}");
    Err(SettingError::new(
        field,
        value,
        format!("from 1 ms to {text}"),
    ))
}

/// At a fiftieth of a second, what all instances hold is 2 % of what a second allows.
const LEAD: Duration = Duration::from_millis(20);
