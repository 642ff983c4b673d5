use super::{At, Format, LONGEST_FILE, Node, json, read, toml};
use crate::check::check;
use crate::problem::{Problems, Reporter};
use crate::settings::{Setting, Settings};
use std::path::Path;

/// A file that has been read and understood, with its text, so that problems that are found later
/// can still say where.
#[derive(Clone, Debug)]
pub struct Document {
    file: String,
    root: At<Node>,
    settings: At<Settings>,
    warnings: Problems,
}

impl Document {
    /// Reads a text. `file` is the name that problems give.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub fn parse(file: &str, text: &str, format: Format) -> Result<Self, Problems> {
        let mut report = Reporter::default();
        if text.len() > LONGEST_FILE {
            let length = text.len();
            report
                .error(
                    super::Span::default(),
                    format!("the file has {length} bytes"),
                )
                .must_be(format!("at most {LONGEST_FILE} bytes long"));
            return Err(report.finish(file, ""));
        }
        let root = match format {
            Format::Toml => toml::parse(text, &mut report),
            Format::Json => json::parse(text, &mut report),
            #[cfg(feature = "yaml")]
            Format::Yaml => super::yaml::parse(text, &mut report),
            #[cfg(not(feature = "yaml"))]
            Format::Yaml => {
                let what =
                    "is YAML, which this program was built without: it needs the feature `yaml`";
                report.error(super::Span::default(), what);
                At::new(Node::Null)
            }
        };
        let syntax = report.end_of_syntax();
        // Of a file that could be read in part only, most of what could be said were wrong.
        let settings = if report.has_errors() && *root == Node::Null {
            None
        } else {
            Settings::read(&root, &mut report)
        };
        if let Some(settings) = &settings {
            let broken = (syntax > 0).then_some(text);
            check(settings, &root, broken, &mut report);
        }
        report.forget_beside(syntax, text);
        let problems = report.finish(file, text);
        match settings {
            Some(settings) if !problems.has_errors() => Ok(Self {
                file: file.to_owned(),
                settings: At::at(settings, root.span()),
                root,
                warnings: problems,
            }),
            _ => Err(problems),
        }
    }

    /// Reads a file, whose ending says what it is written in.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, or that it cannot be read at all.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let file = path.display().to_string();
        let refuse = |what: String| {
            let mut report = Reporter::default();
            report.error(super::Span::default(), what);
            report.finish(&file, "")
        };
        let text =
            read(path).map_err(|error| refuse(format!("the file cannot be read: {error}")))?;
        Self::parse(&file, &text, Format::of(path))
    }

    /// What the file says.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What was hardly meant, but does not keep the file from being used.
    pub fn warnings(&self) -> &Problems {
        &self.warnings
    }

    /// The file's tree, in which fields whose names begin with `x-` belong to the application.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The file's name, as it was given.
    pub fn file(&self) -> &str {
        &self.file
    }
}
