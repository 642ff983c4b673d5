use super::once::Once;
use super::outermost::Outermost;
use super::patterns::{AnyRepeats, OfUpstream, Repeat, Upstream};
use super::repeated::Repeated;
use super::told::Told;
use buttress::coalesce::{CoalesceService, SameRequest};
use buttress::fallback::StaleIfErrorService;
use buttress::hedge::HedgeService;
use buttress::retry::RetryService;
use buttress::timeout::{BodyLimits, TimeoutService};
use buttress::{Guard, Http, Timeout};
use buttress_core::Spread;
use tower_layer::Layer;

type Timed<S> = TimeoutService<S, Http, BodyLimits>;
type Guarded<S> = Guard<Timed<Told<S>>, OfUpstream, Http>;
type Retried<S> = RetryService<Guarded<S>, Http, AnyRepeats>;
type Hedged<S> = HedgeService<Guarded<S>, Http, AnyRepeats>;
type Whole<S> = Timed<Repeated<Retried<S>, Hedged<S>, Once<Guarded<S>>>>;

/// All that an upstream may have around a client.
///
/// Layers that most have are there and off if a file leaves them out, and what remains is one choice
/// for the whole stack: each choice on the way would cost a call some moves of all that is inside.
pub type ClientStack<S> = Outermost<
    Timed<Retried<S>>,
    Timed<Hedged<S>>,
    Timed<Once<Guarded<S>>>,
    StaleIfErrorService<Whole<S>>,
    CoalesceService<Whole<S>, SameRequest>,
    CoalesceService<StaleIfErrorService<Whole<S>>, SameRequest>,
>;

/// Puts an upstream's layers around a client.
pub(super) fn stack<S>(client: S, upstream: Option<&Spread<Upstream>>) -> ClientStack<S> {
    let none = || Spread::new(Upstream::default());
    let upstream = upstream.cloned().unwrap_or_else(none);
    let told = Told::new(client, upstream.outgoing.clone());
    let attempt = upstream.attempt_timeout.layer(told);
    let guarded = Guard::new(attempt, OfUpstream(upstream.here()), Http::new());
    let timeout = &upstream.timeout;
    match (&upstream.coalesce, &upstream.stale, &upstream.repeat) {
        (None, None, Repeat::Retry(retry)) => Outermost::Retry(timeout.layer(retry.layer(guarded))),
        (None, None, Repeat::Hedge(hedge)) => Outermost::Hedge(timeout.layer(hedge.layer(guarded))),
        (None, None, Repeat::Never) => Outermost::Once(timeout.layer(Once::new(guarded))),
        (None, Some(stale), repeat) => {
            Outermost::Stale(stale.layer(whole(timeout, repeat, guarded)))
        }
        (Some(coalesce), None, repeat) => {
            Outermost::Coalesce(coalesce.layer(whole(timeout, repeat, guarded)))
        }
        (Some(coalesce), Some(stale), repeat) => {
            let backed = stale.layer(whole(timeout, repeat, guarded));
            Outermost::Both(coalesce.layer(backed))
        }
    }
}

fn whole<S>(timeout: &Timeout<BodyLimits>, repeat: &Repeat, guarded: Guarded<S>) -> Whole<S> {
    timeout.layer(match repeat {
        Repeat::Retry(retry) => Repeated::Retry(retry.layer(guarded)),
        Repeat::Hedge(hedge) => Repeated::Hedge(hedge.layer(guarded)),
        Repeat::Never => Repeated::Once(Once::new(guarded)),
    })
}

/// The client inside of its layers.
pub(super) fn client_in<S>(stack: &ClientStack<S>) -> &S {
    let guarded = match stack {
        Outermost::Retry(whole) => whole.inner().inner(),
        Outermost::Hedge(whole) => whole.inner().inner(),
        Outermost::Once(whole) => whole.inner().inner(),
        Outermost::Stale(stale) => guarded_in(stale.inner()),
        Outermost::Coalesce(coalesce) => guarded_in(coalesce.inner()),
        Outermost::Both(coalesce) => guarded_in(coalesce.inner().inner()),
    };
    guarded.inner().inner().inner()
}

fn guarded_in<S>(whole: &Whole<S>) -> &Guarded<S> {
    match whole.inner() {
        Repeated::Retry(retry) => retry.inner(),
        Repeated::Hedge(hedge) => hedge.inner(),
        Repeated::Once(once) => once.inner(),
    }
}
