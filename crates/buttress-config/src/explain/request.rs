use super::stack::{matching, of_server};
use crate::routes::{Routes, TemplateError, WhyNot};
use crate::settings::{Settings, in_capitals};
use http::{Method, Request};
use std::fmt::Write;

/// What was probably meant by a method that no request has because of its small letters, as in `get`.
/// Methods are told apart by case, and a method of one's own may be in any.
///
/// ```
/// use buttress_config::explain::method_meant;
/// use http::Method;
///
/// assert_eq!(method_meant(&Method::from_bytes(b"get").unwrap()), Some("GET"));
/// assert_eq!(method_meant(&Method::GET), None);
/// assert_eq!(method_meant(&Method::from_bytes(b"purge").unwrap()), None);
/// ```
pub fn method_meant(method: &Method) -> Option<&'static str> {
    in_capitals(method)
}

/// Which rule applies to `request`, and why: what each rule has to say to it, and the stack that the
/// request meets.
///
/// # Errors
///
/// A path of a route cannot be read. In a file that was checked, all can.
///
/// ```
/// use buttress_config::{Document, Format, explain::explain};
///
/// let text = "[[server.route]]\nmatch = { method = 'GET', path = '/users/{id}' }\n";
/// let document = Document::parse("resilience.toml", text, Format::Toml)?;
/// let request = http::Request::post("/users/7").body(()).unwrap();
/// let why = explain(document.settings(), &request).unwrap();
/// assert!(why.contains("server.route[0] does not apply: its path fits, but not the method"));
/// # Ok::<(), buttress_config::Problems>(())
/// ```
pub fn explain<B>(settings: &Settings, request: &Request<B>) -> Result<String, TemplateError> {
    let matches = settings.matches();
    let routes = Routes::new(&matches).map_err(|(_, error)| error)?;
    let explained = routes.explain(request);
    let mut text = String::new();
    let found = explained
        .iter()
        .find(|explained| explained.why_not.is_none());
    let found = found.and_then(|found| Some((found.rule, settings.routes().get(found.rule)?)));
    if let Some((rule, route)) = found {
        let shown = matching(&route.matching);
        _ = writeln!(text, "server.route[{rule}] applies: {shown}");
        of_server(&mut text, settings, &settings.effective_route(route));
    } else {
        _ = writeln!(text, "no route matches, so the defaults apply");
        of_server(&mut text, settings, &settings.defaults());
    }
    let mut elsewhere = 0;
    for explained in &explained {
        let rule = explained.rule;
        let why = match &explained.why_not {
            None => continue,
            Some(WhyNot::Path) => {
                elsewhere += 1;
                if elsewhere > MOST_SHOWN {
                    continue;
                }
                "its path is another one".to_owned()
            }
            Some(WhyNot::Conditions(missing)) => {
                let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
                format!("its path fits, but not {}", missing.join(", "))
            }
            Some(WhyNot::ComesAfter(first)) => {
                format!("it would, but server.route[{first}] is more specific, or comes first")
            }
        };
        let shown = settings
            .routes()
            .get(rule)
            .map(|route| matching(&route.matching));
        let shown = shown.unwrap_or_default();
        _ = writeln!(text, "server.route[{rule}] does not apply: {why} ({shown})");
    }
    if elsewhere > MOST_SHOWN {
        _ = writeln!(text, "{} more have another path", elsewhere - MOST_SHOWN);
    }
    Ok(text)
}

/// A file may have thousands of routes with other paths.
const MOST_SHOWN: usize = 50;
