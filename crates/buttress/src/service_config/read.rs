//! From text to what it says, with the checks of gRFC A6.

use super::ServiceConfig;
use super::codes::StatusCodes;
use super::error::ServiceConfigError;
use super::node::Node;
use super::policy::{HedgingPolicy, MethodConfig, MethodName, RetryPolicy, RetryThrottling};
use serde_json::Value;
use std::collections::HashSet;
use std::time::Duration;

type Result<T> = std::result::Result<T, ServiceConfigError>;

/// More than any service config needs. JSON as deep as 128 levels is refused by the parser.
const LONGEST: usize = 1 << 20;

/// What gRPC's clients allow.
const MOST_ATTEMPTS: f64 = 5.0;

pub(super) fn read(text: &str) -> Result<ServiceConfig> {
    let whole = "the service config";
    if text.len() > LONGEST {
        let problem = format!("has {} bytes, but must have at most {LONGEST}", text.len());
        return Err(ServiceConfigError::new(whole, problem));
    }
    let value: Value = serde_json::from_str(text)
        .map_err(|error| ServiceConfigError::new(whole, format_args!("is no JSON: {error}")))?;
    let root = Node::root(&value);
    let mut methods = Vec::new();
    let mut seen = HashSet::new();
    if let Some(configs) = root.field("methodConfig")? {
        for config in configs.items()? {
            methods.push(method_config(&config, &mut seen)?);
        }
    }
    let throttling = root.field("retryThrottling")?;
    let throttling = throttling.as_ref().map(throttling_of).transpose()?;
    Ok(ServiceConfig {
        methods,
        throttling,
    })
}

fn method_config(node: &Node<'_>, seen: &mut HashSet<MethodName>) -> Result<MethodConfig> {
    let mut names = Vec::new();
    if let Some(list) = node.field("name")? {
        for item in list.items()? {
            let name = method_name(&item)?;
            if !seen.insert(name.clone()) {
                return item.refuse("names what has been named before");
            }
            names.push(name);
        }
    }
    let (retry, hedging) = (node.field("retryPolicy")?, node.field("hedgingPolicy")?);
    if retry.is_some() && hedging.is_some() {
        return node.refuse("has a retryPolicy and a hedgingPolicy, but must have one of them");
    }
    Ok(MethodConfig {
        names,
        retry: retry.as_ref().map(retry_policy).transpose()?,
        hedging: hedging.as_ref().map(hedging_policy).transpose()?,
    })
}

fn method_name(node: &Node<'_>) -> Result<MethodName> {
    let text = |name| match node.field(name)? {
        Some(field) => field.text().map(str::to_owned),
        None => Ok(String::new()),
    };
    let (service, method) = (text("service")?, text("method")?);
    if service.is_empty() && !method.is_empty() {
        return node.refuse("has a method, but no service");
    }
    Ok(MethodName { service, method })
}

fn retry_policy(node: &Node<'_>) -> Result<RetryPolicy> {
    let codes = node.required("retryableStatusCodes")?;
    let retryable = status_codes(&codes)?;
    if retryable.is_empty() {
        return codes.must_be("at least one status code");
    }
    let multiplier = node.required("backoffMultiplier")?;
    Ok(RetryPolicy {
        attempts: attempts(node)?,
        initial_backoff: backoff(&node.required("initialBackoff")?)?,
        max_backoff: backoff(&node.required("maxBackoff")?)?,
        multiplier: match multiplier.number() {
            Some(number) if number > 0.0 => number,
            _ => return multiplier.must_be("a number above 0"),
        },
        codes: retryable,
    })
}

fn hedging_policy(node: &Node<'_>) -> Result<HedgingPolicy> {
    let delay = node.field("hedgingDelay")?;
    let codes = node.field("nonFatalStatusCodes")?;
    Ok(HedgingPolicy {
        attempts: attempts(node)?,
        delay: match delay {
            None => Duration::ZERO,
            Some(delay) => match delay.duration() {
                Some(delay) => delay,
                None => return delay.must_be("a time such as \"0.5s\""),
            },
        },
        codes: codes
            .as_ref()
            .map_or(Ok(StatusCodes::default()), status_codes)?,
    })
}

fn attempts(node: &Node<'_>) -> Result<u32> {
    let attempts = node.required("maxAttempts")?;
    match attempts.number() {
        Some(number) if number > 1.0 && number.fract() == 0.0 => {
            Ok(number.min(MOST_ATTEMPTS) as u32)
        }
        _ => attempts.must_be("a whole number above 1"),
    }
}

fn backoff(node: &Node<'_>) -> Result<Duration> {
    match node.duration() {
        Some(time) if !time.is_zero() => Ok(time),
        _ => node.must_be("a time above 0 such as \"0.5s\""),
    }
}

fn status_codes(node: &Node<'_>) -> Result<StatusCodes> {
    let mut codes = StatusCodes::default();
    for item in node.items()? {
        let name = item.text().ok();
        let with = name
            .and_then(|name| codes.with_name(name))
            .or_else(|| codes.with_number(item.number()?));
        codes = match with {
            Some(codes) => codes,
            None => return item.must_be("a status code: its number, 0 to 16, or its name"),
        };
    }
    Ok(codes)
}

fn throttling_of(node: &Node<'_>) -> Result<RetryThrottling> {
    let (most, ratio) = (node.required("maxTokens")?, node.required("tokenRatio")?);
    Ok(RetryThrottling {
        most: match thousandths(&most) {
            Some(number @ 1..=1_000_000) => number,
            _ => return most.must_be("more than 0 and at most 1000"),
        },
        ratio: match thousandths(&ratio) {
            Some(number @ 1..) => number,
            _ => return ratio.must_be("a number above 0, of which three decimals count"),
        },
    })
}

/// Further decimals are dropped. A number too large for anything is the largest.
fn thousandths(node: &Node<'_>) -> Option<u32> {
    let number = node.number().filter(|number| *number > 0.0)?;
    // Rounded first, or else 0.001 × 1000 would be a little less than 1.
    Some(((number * 1e6).round() / 1e3) as u32)
}
