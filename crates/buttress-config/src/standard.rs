use crate::problem::Problems;
use crate::{Document, Format, Rules, Server, UpstreamLayer};

/// The safe defaults for a server, without a file: what
/// [`ServerPolicies::standard`](crate::settings::ServerPolicies::standard) says.
///
/// ```
/// use axum::{Router, routing::get};
///
/// let app: Router = Router::new()
///     .route("/", get(|| async { "hello" }))
///     .layer(buttress_config::standard_server()?);
/// # let _ = app;
/// # Ok::<(), buttress_config::Problems>(())
/// ```
///
/// # Errors
///
/// None today; it has the shape of all the others.
pub fn standard_server() -> Result<Server, Problems> {
    let rules = Rules::new(Document::parse("standard", "", Format::Toml)?)?;
    Ok(rules.server())
}

/// The safe defaults for the client of an upstream, without a file: what
/// [`UpstreamSettings::standard`](crate::settings::UpstreamSettings::standard) says. Clones share
/// the state, so there should be one for each upstream. Refusals and logs carry the name.
///
/// ```
/// use buttress_config::standard_client;
/// use tower::ServiceBuilder;
///
/// let layer = standard_client("payments")?;
/// let client = ServiceBuilder::new().layer(layer);
/// # let _ = client;
/// # Ok::<(), buttress_config::Problems>(())
/// ```
///
/// # Errors
///
/// The name is not 1 to 64 printable ASCII characters.
pub fn standard_client(name: &str) -> Result<UpstreamLayer, Problems> {
    let name = serde_json::Value::from(name);
    let text = format!("{{\"upstream\":{{{name}:{{}}}}}}");
    let rules = Rules::new(Document::parse("standard", &text, Format::Json)?)?;
    let name = name.as_str().unwrap_or_default();
    Ok(rules.layer_of(name))
}
