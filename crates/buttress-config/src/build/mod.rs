//! From settings to builders.
//!
//! A setting that is absent is not set, so the builder's own default counts. No range is checked
//! here: that is done where the builder builds, and its error says which setting it was.

mod admission;
mod client;
mod key;
mod limit;
mod names;
mod request;
mod retry;
mod shed;

pub(crate) use names::interned;

/// Sets what is there: `set!(builder, settings.burst => burst)`.
macro_rules! set {
    ($builder:ident; $($setting:expr => $method:ident),+ $(,)?) => {
        $( if let Some(value) = &$setting {
            $builder = $builder.$method((**value).clone());
        } )+
    };
}

/// Sets what is true: methods without an argument.
macro_rules! set_flags {
    ($builder:ident; $($setting:expr => $method:ident),+ $(,)?) => {
        $( if $setting.as_ref().is_some_and(|flag| **flag) {
            $builder = $builder.$method();
        } )+
    };
}

pub(crate) use {set, set_flags};
