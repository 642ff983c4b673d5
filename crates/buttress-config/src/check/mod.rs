//! What can only be seen when a file is looked at as a whole.
//!
//! Reading finds what is wrong with a field by itself. This finds values that a builder refuses,
//! and values of which each is fine, and which don't fit together.

mod attempts;
mod host;
mod known;
mod mentions;
mod ranges;
mod routes;
mod shared;
mod times;
mod together;
mod waiting;
mod worst;

pub(crate) use worst::{Bound, Worst, of_server, of_upstream};

use crate::problem::Reporter;
use crate::settings::Settings;
use crate::source::Node;
use mentions::Mentions;

/// Reports everything that does not fit. `root` is the file's tree, and `broken` its text if the
/// syntax is wrong, so that parts of it may be in neither.
pub(crate) fn check(settings: &Settings, root: &Node, broken: Option<&str>, report: &mut Reporter) {
    ranges::check(settings, report);
    together::check(settings, report);
    routes::check(settings, report);
    shared::check(settings, &Mentions::of(root, broken), report);
    times::check(settings, report);
}
