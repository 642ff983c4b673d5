use super::admission::name_of;
use super::limit::set_shares;
use super::set;
use crate::settings::{DeadlineShedderSettings, PressureSettings, QueueDelaySettings, Switch};
use buttress::shed::{DeadlineShedderBuilder, PressureBuilder, QueueDelayBuilder};
use buttress::{DeadlineShedder, Pressure, QueueDelay};

impl QueueDelaySettings {
    pub(crate) fn builder(&self) -> QueueDelayBuilder {
        let mut builder = QueueDelay::builder();
        set!(builder; self.target => target, self.interval => interval);
        match name_of(self.name.as_ref()) {
            Some(name) => builder.named(name),
            None => builder,
        }
    }
}

impl PressureSettings {
    pub(crate) fn builder(&self) -> PressureBuilder {
        let mut builder = Pressure::builder();
        match self.cpu.as_deref() {
            Some(Switch::On(part)) => builder = builder.cpu(part.from.0, part.to.0),
            Some(Switch::Off) => builder = builder.without_cpu(),
            None => {}
        }
        match self.memory.as_deref() {
            Some(Switch::On(part)) => builder = builder.memory(part.from.0, part.to.0),
            Some(Switch::Off) => builder = builder.without_memory(),
            None => {}
        }
        set_shares!(builder; self.most_refused => most_refused);
        set!(builder; self.every => every, self.seed => seed);
        match name_of(self.name.as_ref()) {
            Some(name) => builder.named(name),
            None => builder,
        }
    }
}

impl DeadlineShedderSettings {
    pub(crate) fn builder(&self) -> DeadlineShedderBuilder {
        let mut builder = DeadlineShedder::builder();
        set_shares!(builder; self.quantile => quantile);
        set!(builder; self.half_life => half_life);
        match name_of(self.name.as_ref()) {
            Some(name) => builder.named(name),
            None => builder,
        }
    }
}
