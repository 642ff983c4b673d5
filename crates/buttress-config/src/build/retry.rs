use super::admission::name_of;
use super::limit::set_shares;
use super::{interned, set, set_flags};
use crate::settings::{
    BackoffSettings, BudgetSettings, HedgeSettings, JitterSettings, RetrySettings, Switch,
    TokenSettings,
};
use crate::source::At;
use buttress::backoff::Jitter;
use buttress::repeat::AnswerKind;
use buttress::retry::is_worth_repeating;
use buttress::{Backoff, Hedge, HedgeBuilder, Retry, RetryBudget, RetryBuilder, SettingError};
use std::time::Duration;

impl RetrySettings {
    /// Of safe requests only; whether it is of all is for the caller to see.
    ///
    /// # Errors
    ///
    /// The backoff or the budget makes no sense.
    pub(crate) fn builder(&self) -> Result<RetryBuilder, SettingError> {
        let mut builder = Retry::builder();
        if let Some(backoff) = &self.backoff {
            builder = builder.backoff(backoff.backoff()?);
        }
        match self.budget.as_deref() {
            Some(Switch::On(budget)) => builder = builder.budget(budget.budget()?),
            Some(Switch::Off) => builder = builder.no_budget(),
            None => {}
        }
        set!(builder;
            self.attempts => attempts,
            self.longest_wait => longest_wait,
            self.seed => seed,
        );
        if let Some(size) = &self.replay_limit {
            builder = builder.replay_limit(usize::try_from(size.0).unwrap_or(usize::MAX));
        }
        set_flags!(builder; self.not_of_retries => not_of_retries);
        if let Some(name) = self
            .attempt_header
            .as_ref()
            .and_then(|name| interned(name.as_str()))
        {
            builder = builder.attempt_header(name);
        }
        if let Some(name) = self
            .marker
            .as_ref()
            .and_then(|name| interned(name.as_str()))
        {
            builder = builder.marker(name);
        }
        let http = values(self.also_on.as_ref());
        let grpc = values(self.also_on_grpc.as_ref());
        if !(http.is_empty() && grpc.is_empty()) {
            builder = builder.retry_on(move |look| {
                is_worth_repeating(look)
                    || match look.answer {
                        AnswerKind::HttpStatus(status) => http.contains(&status.as_u16()),
                        AnswerKind::GrpcStatus(code) => grpc.contains(&code),
                        _ => false,
                    }
            });
        }
        Ok(match name_of(self.name.as_ref()) {
            Some(name) => builder.named(name),
            None => builder,
        })
    }

    /// Whether the two have the same budget, written out or not.
    pub(crate) fn has_the_budget_of(&self, other: &Self) -> bool {
        let budget = |settings: &Self| match settings.budget.as_deref() {
            Some(budget) => budget.clone(),
            None => Switch::On(BudgetSettings::default()),
        };
        budget(self) == budget(other)
    }
}

impl BackoffSettings {
    pub(crate) fn backoff(&self) -> Result<Backoff, SettingError> {
        if let Some(wait) = &self.constant {
            return Backoff::constant(**wait);
        }
        let or = |given: &Option<At<Duration>>, default| given.as_ref().map_or(default, |at| **at);
        let base = or(&self.base, Self::BASE);
        let mut backoff = Backoff::exponential(base, or(&self.cap, Self::CAP.max(base)))?;
        if let Some(factor) = &self.factor {
            backoff = backoff.factor(**factor)?;
        }
        if let Some(jitter) = &self.jitter {
            backoff = backoff.jitter(match **jitter {
                JitterSettings::Full => Jitter::Full,
                JitterSettings::Equal => Jitter::Equal,
                JitterSettings::Decorrelated => Jitter::Decorrelated,
                JitterSettings::Grpc => Jitter::Grpc,
                JitterSettings::None => Jitter::None,
            });
        }
        match &self.base_if_overloaded {
            Some(base) => backoff.base_if_overloaded(**base),
            None => Ok(backoff),
        }
    }

    /// The first wait, and the longest, of [`Backoff::new`].
    pub(crate) const BASE: Duration = Duration::from_millis(50);
    pub(crate) const CAP: Duration = Duration::from_secs(1);
}

impl BudgetSettings {
    pub(crate) fn budget(&self) -> Result<RetryBudget, SettingError> {
        if let Some(tokens) = &self.tokens {
            return tokens.budget();
        }
        let share = self.share.as_ref().map_or(0.2, |share| share.0);
        RetryBudget::share(
            share,
            self.at_least.as_ref().map_or(10, |at_least| **at_least),
        )
    }
}

impl TokenSettings {
    fn budget(&self) -> Result<RetryBudget, SettingError> {
        // What is no number is 0, and what is too large is the largest: both are refused.
        let thousandths = |number: f64| (number * 1_000.0).round() as u32;
        RetryBudget::tokens(thousandths(*self.most), thousandths(*self.ratio)).map_err(|error| {
            let (value, allowed) = match error.field() {
                "most" => (*self.most, "from 0.001 to 1000"),
                _ => (*self.ratio, "from 0.001 to 4294967"),
            };
            SettingError::new(error.field(), value, allowed)
        })
    }
}

impl HedgeSettings {
    /// Of safe requests only; whether it is of all is for the caller to see.
    ///
    /// # Errors
    ///
    /// The budget makes no sense.
    pub(crate) fn builder(&self) -> Result<HedgeBuilder, SettingError> {
        let mut builder = Hedge::builder();
        set!(builder;
            self.after => after,
            self.min_samples => min_samples,
            self.half_life => half_life,
            self.attempts => attempts,
        );
        set_shares!(builder; self.quantile => quantile, self.extra_load => extra_load);
        if let Some(budget) = &self.budget {
            builder = builder.budget(budget.budget()?);
        }
        if let Some(size) = &self.replay_limit {
            builder = builder.replay_limit(usize::try_from(size.0).unwrap_or(usize::MAX));
        }
        if self.non_fatal.is_some() {
            builder = builder.non_fatal(values(self.non_fatal.as_ref()));
        }
        if let Some(name) = self
            .attempt_header
            .as_ref()
            .and_then(|name| interned(name.as_str()))
        {
            builder = builder.attempt_header(name);
        }
        Ok(builder)
    }
}

fn values(list: Option<&At<Vec<At<u16>>>>) -> Vec<u16> {
    let items = list.iter().flat_map(|list| list.iter());
    items.map(|item| **item).collect()
}
