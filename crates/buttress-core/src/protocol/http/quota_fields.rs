use crate::quota::Quota;
use ::http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{KeyRef, ListSerializer, StringRef, key_ref};
use std::cell::Cell;

/// Writes the `RateLimit` and `RateLimit-Policy` fields (IETF
/// draft-ietf-httpapi-ratelimit-headers): one member for each quota. What other layers have
/// written stays; the fields are lists, and lists may stand on several lines.
pub fn announce(headers: &mut HeaderMap, quotas: impl IntoIterator<Item = Quota> + Clone) {
    let policies = field(quotas.clone(), |quota| {
        [(Q, quota.limit), (W, quota.window)]
    });
    let state = field(quotas, |quota| [(R, quota.remaining), (T, quota.reset)]);
    if let (Some(policies), Some(state)) = (policies, state) {
        headers.append(RATE_LIMIT_POLICY, policies);
        headers.append(RATE_LIMIT, state);
    }
}

fn field(
    quotas: impl IntoIterator<Item = Quota>,
    parameters: impl Fn(&Quota) -> [(&'static KeyRef, u32); 2],
) -> Option<HeaderValue> {
    // Written in one place again and again, and copied once it is as long as it will be.
    let mut text = TEXT.take();
    text.clear();
    let mut list = ListSerializer::with_buffer(&mut text);
    for quota in quotas {
        // Names are checked when a policy is built, so that none is left out.
        if let Ok(name) = StringRef::from_str(quota.policy) {
            let [(key, value), (other_key, other_value)] = parameters(&quota);
            let _ = list
                .bare_item(name)
                .parameter(key, value)
                .parameter(other_key, other_value)
                .finish();
        }
    }
    let written = list.finish().is_some();
    let value = HeaderValue::from_str(&text).ok();
    TEXT.set(text);
    value.filter(|_| written)
}

thread_local! {
    static TEXT: Cell<String> = const { Cell::new(String::new()) };
}

const Q: &KeyRef = key_ref("q");
const W: &KeyRef = key_ref("w");
const R: &KeyRef = key_ref("r");
const T: &KeyRef = key_ref("t");

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
