use std::path::Path;

/// What a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// TOML 1.0.
    Toml,
    /// YAML 1.2, without anchors and aliases. Needs the feature `yaml`.
    Yaml,
    /// JSON.
    Json,
}

impl Format {
    /// What the file's ending says: `.yaml` and `.yml`, `.json`, and TOML for everything else.
    pub fn of(path: &Path) -> Self {
        let ending = path.extension().and_then(std::ffi::OsStr::to_str);
        match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("yaml" | "yml") => Self::Yaml,
            Some("json") => Self::Json,
            _ => Self::Toml,
        }
    }
}
