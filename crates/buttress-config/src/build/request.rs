use super::admission::name_of;
use crate::settings::{
    AttemptSettings, CriticalityHeaderSettings, CriticalitySettings, DeadlineHeaderSettings,
    DeadlineSettings, TimeoutSettings, TrustSettings,
};
use buttress::criticality::{OutgoingCriticality, PeersIn, peers_in};
use buttress::timeout::BodyLimits;
use buttress::{
    IncomingAttempt, IncomingCriticality, IncomingDeadline, OutgoingDeadline, SettingError, Timeout,
};

impl DeadlineSettings {
    pub(crate) fn layer(&self) -> Result<IncomingDeadline, SettingError> {
        let mut layer = IncomingDeadline::at_most(*self.at_most)?;
        if let Some(header) = &self.header {
            layer = layer.header(header.as_str())?;
        }
        match name_of(self.name.as_ref()) {
            Some(name) => layer.named(name),
            None => Ok(layer),
        }
    }
}

impl AttemptSettings {
    pub(crate) fn layer(&self) -> Result<IncomingAttempt, SettingError> {
        let mut layer = IncomingAttempt::new();
        if let Some(header) = &self.header {
            layer = layer.header(header.as_str())?;
        }
        match &self.marker {
            Some(marker) => layer.marker(marker.as_str()),
            None => Ok(layer),
        }
    }
}

impl CriticalitySettings {
    /// Believing nobody; whom to believe, and what else to say, is for the caller to see.
    pub(crate) fn layer(&self) -> Result<IncomingCriticality, SettingError> {
        match &self.header {
            Some(header) => IncomingCriticality::new().header(header.as_str()),
            None => Ok(IncomingCriticality::new()),
        }
    }
}

impl TrustSettings {
    /// The networks whose word counts, if it is those of some networks.
    pub(crate) fn networks(&self) -> Option<Result<PeersIn, SettingError>> {
        match self {
            Self::Nobody | Self::Everybody => None,
            Self::PeersIn(networks) => {
                Some(peers_in(networks.iter().map(|network| network.as_str())))
            }
        }
    }
}

impl TimeoutSettings {
    /// Without the body's limits.
    pub(crate) fn headers_only(&self, each_attempt: bool) -> Result<Timeout, SettingError> {
        let new = if each_attempt {
            Timeout::per_attempt
        } else {
            Timeout::new
        };
        let mut timeout = new(*self.headers)?;
        if self.sets_deadline.as_ref().is_some_and(|flag| **flag) {
            timeout = timeout.sets_deadline();
        }
        match name_of(self.name.as_ref()) {
            Some(name) => timeout.named(name),
            None => Ok(timeout),
        }
    }

    /// With the body's limits, if there are any.
    pub(crate) fn with_body(
        &self,
        each_attempt: bool,
    ) -> Result<Option<Timeout<BodyLimits>>, SettingError> {
        let timeout = self.headers_only(each_attempt)?;
        let idle = self.idle_body.as_ref().map(|longest| **longest);
        let whole = self.whole_body.as_ref().map(|longest| **longest);
        Ok(match (idle, whole) {
            (None, None) => None,
            (Some(idle), None) => Some(timeout.idle_body(idle)?),
            (None, Some(whole)) => Some(timeout.whole_body(whole)?),
            (Some(idle), Some(whole)) => Some(timeout.idle_body(idle)?.whole_body(whole)?),
        })
    }
}

impl DeadlineHeaderSettings {
    pub(crate) fn layer(&self) -> Result<OutgoingDeadline, SettingError> {
        match self {
            Self::Grpc => Ok(OutgoingDeadline::grpc()),
            Self::Header(name) => OutgoingDeadline::header(name.as_str()),
        }
    }
}

impl CriticalityHeaderSettings {
    pub(crate) fn layer(&self) -> Result<OutgoingCriticality, SettingError> {
        match &self.header {
            Some(name) => OutgoingCriticality::new().header(name.as_str()),
            None => Ok(OutgoingCriticality::new()),
        }
    }
}
