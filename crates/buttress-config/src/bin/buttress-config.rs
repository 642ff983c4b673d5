//! Checks and explains files of resilience policies from a shell.

use buttress_config::explain::{explain, method_meant, stacks};
use buttress_config::{Document, schema};
use http::{Method, Request, header};
use lexopt::{Arg, Parser, ValueExt};
use std::io::Write;
use std::process::ExitCode;

const USAGE: &str = "\
Usage:
  buttress-config check FILE
      Checks the file. Prints each route's and upstream's stack, and problems to stderr.
  buttress-config schema
      Prints the file's JSON Schema, for editors.
  buttress-config explain FILE METHOD PATH [--host HOST] [--header NAME=VALUE]... [--grpc]
      Says which rule applies to a request, and why.

Files ending in .yaml, .yml or .json are read as that, all others as TOML.

It exits with 1 if the file has errors, and with 2 if it was called wrongly.
";

/// What ends the program early.
enum Failure {
    /// The file has errors.
    Bad(String),
    /// It was called wrongly.
    Usage(String),
    /// What is printed cannot be written.
    Output(std::io::Error),
}

fn main() -> ExitCode {
    let (what, code) = match run(Parser::from_env()) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Bad(problems)) => (problems, 1),
        Err(Failure::Usage(what)) => (format!("{what}\n\n{USAGE}"), 2),
        // Whoever read it has had enough, as `head` has.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            return ExitCode::SUCCESS;
        }
        Err(Failure::Output(error)) => (error.to_string(), 1),
    };
    _ = writeln!(std::io::stderr().lock(), "{}", what.trim_end());
    ExitCode::from(code)
}

fn run(mut arguments: Parser) -> Result<(), Failure> {
    let mut words = Vec::new();
    let mut asked = Asked::default();
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Value(word) => words.push(word.string()?),
            Arg::Long("host") => asked.host = Some(arguments.value()?.string()?),
            Arg::Long("header") => asked.headers.push(arguments.value()?.string()?),
            Arg::Long("grpc") => asked.grpc = true,
            Arg::Short('h') | Arg::Long("help") => return print(USAGE),
            Arg::Short('V') | Arg::Long("version") => {
                return print(concat!("buttress-config ", env!("CARGO_PKG_VERSION"), "\n"));
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["check", file] => print(&stacks(load(file)?.settings())),
        ["schema"] => print(&format!("{:#}\n", schema())),
        ["explain", file, method, path] => {
            let request = asked.request(method, path)?;
            note_case(request.method());
            let document = load(file)?;
            let why = explain(document.settings(), &request);
            print(&why.map_err(|error| Failure::Bad(error.to_string()))?)
        }
        [] => Err(Failure::Usage("there is nothing to do".to_owned())),
        _ => Err(Failure::Usage("these arguments make no command".to_owned())),
    }
}

/// The file, if it can be used. Warnings are printed.
fn load(file: &str) -> Result<Document, Failure> {
    let document = Document::load(file.as_ref());
    let document = document.map_err(|problems| {
        let count = problems.len();
        let plural = if count == 1 { "" } else { "s" };
        Failure::Bad(format!("{problems}\n\n{file} has {count} problem{plural}"))
    })?;
    if !document.warnings().is_empty() {
        _ = writeln!(std::io::stderr().lock(), "{}\n", document.warnings());
    }
    Ok(document)
}

/// Methods are told apart by case, in requests as in files.
fn note_case(method: &Method) {
    if let Some(meant) = method_meant(method) {
        _ = writeln!(
            std::io::stderr().lock(),
            "methods are case-sensitive: did you mean {meant}?\n"
        );
    }
}

/// The request that is asked about.
#[derive(Default)]
struct Asked {
    host: Option<String>,
    headers: Vec<String>,
    grpc: bool,
}

impl Asked {
    fn request(&self, method: &str, path: &str) -> Result<Request<()>, Failure> {
        let usage = |error: http::Error| Failure::Usage(format!("no such request: {error}"));
        let method = Method::from_bytes(method.as_bytes());
        let mut request = Request::builder()
            .method(method.map_err(|error| usage(error.into()))?)
            .uri(path);
        if let Some(host) = &self.host {
            request = request.header(header::HOST, host);
        }
        for given in &self.headers {
            let Some((name, value)) = given.split_once('=') else {
                let what = format!("--header {given:?} is not NAME=VALUE");
                return Err(Failure::Usage(what));
            };
            request = request.header(name.trim(), value.trim());
        }
        if self.grpc {
            request = request.header(header::CONTENT_TYPE, "application/grpc");
        }
        request.body(()).map_err(usage)
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::Output)
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::Usage(error.to_string())
    }
}
