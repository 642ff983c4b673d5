use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind};

/// The three scripts.
pub(super) struct Scripts {
    pub(super) even: Script,
    pub(super) window: Script,
    pub(super) presence: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            even: Script::new(EVEN),
            window: Script::new(WINDOW),
            presence: Script::new(include_str!("presence.lua")),
        }
    }
}

pub(super) const EVEN: &str = include_str!("even.lua");
pub(super) const WINDOW: &str = include_str!("window.lua");

/// A script with the digest by which a server remembers it.
pub(super) struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    fn new(text: &'static str) -> Self {
        let hash = redis::Script::new(text).get_hash().to_owned();
        Self { text, hash }
    }

    /// A call of it with one key, by its digest.
    pub(super) fn call(&self, key: &str, arguments: impl FnOnce(&mut Cmd)) -> Cmd {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.hash).arg(1).arg(key);
        arguments(&mut call);
        call
    }

    /// The same call with the text of the script, which the server then remembers.
    pub(super) fn with_text(&self, call: &Cmd) -> Cmd {
        let mut whole = redis::cmd("EVAL");
        whole.arg(self.text);
        for argument in call.args_iter().skip(2) {
            if let redis::Arg::Simple(bytes) = argument {
                whole.arg(bytes);
            }
        }
        whole
    }
}

/// Whether the server does not know a script's digest.
pub(super) fn is_unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}
