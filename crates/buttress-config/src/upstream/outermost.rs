//! What is outermost in a stack, with all that is inside of it.

use super::alternatives::alternatives;

alternatives!(
    Outermost,
    OutermostFuture,
    OutermostBody: Retry BR,
    Hedge BH,
    Once BO,
    Stale BS,
    Coalesce BC,
    Both B2
);
