use std::fmt;

/// A path, parsed: its segments, without the names of parameters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Template {
    pub(super) segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Segment {
    Fixed(Box<str>),
    Parameter,
    /// The last one: whatever is left.
    Wildcard,
}

/// Why a path cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TemplateError {
    /// It does not begin with `/`.
    NoSlash,
    /// A parameter is only a part of its segment, or a brace stands alone.
    Brace,
    /// A parameter has no name.
    NoName,
    /// A wildcard is not the last segment.
    NotLast,
    /// A gRPC method is not `package.Service` or `package.Service/Method`.
    NotGrpc,
    /// There are both a path and a gRPC method.
    Two,
    /// It has more than 256 segments.
    TooLong,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSlash => "a path begins with `/`",
            Self::Brace => {
                "a parameter is a whole segment, `{name}` or `{*rest}`; a brace is written twice"
            }
            Self::NoName => "a parameter has a name: `{name}`",
            Self::NotLast => "only the last segment may be a wildcard, `{*rest}`",
            Self::NotGrpc => "a gRPC method is `package.Service` or `package.Service/Method`",
            Self::Two => "a rule has a path or a gRPC method, and not both",
            Self::TooLong => "a path has 256 segments at most",
        })
    }
}

impl std::error::Error for TemplateError {}

/// The tree of paths is as deep, and so is the stack when it is searched.
const MOST_SEGMENTS: usize = 256;

impl Template {
    pub(super) fn parse(path: &str) -> Result<Self, TemplateError> {
        let rest = path.strip_prefix('/').ok_or(TemplateError::NoSlash)?;
        let mut segments = Vec::new();
        for text in rest.split('/') {
            if segments.last() == Some(&Segment::Wildcard) {
                return Err(TemplateError::NotLast);
            }
            if segments.len() == MOST_SEGMENTS {
                return Err(TemplateError::TooLong);
            }
            segments.push(segment(text)?);
        }
        Ok(Self { segments })
    }

    pub(super) fn of_grpc(method: &str) -> Result<Self, TemplateError> {
        let name = |text: &str| {
            let well = !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'));
            well.then(|| Segment::Fixed(text.into()))
                .ok_or(TemplateError::NotGrpc)
        };
        let segments = match method.split_once('/') {
            Some((service, "*")) => vec![name(service)?, Segment::Parameter],
            Some((service, method)) => vec![name(service)?, name(method)?],
            None => vec![name(method)?, Segment::Parameter],
        };
        Ok(Self { segments })
    }

    /// Whether the path fits: the naive way, which explains and is what the tree is tested against.
    pub(super) fn fits(&self, path: &str) -> bool {
        let mut rest = Some(path.strip_prefix('/').unwrap_or(path));
        for segment in &self.segments {
            let Some(left) = rest else { return false };
            if *segment == Segment::Wildcard {
                return !left.is_empty();
            }
            let (first, next) = match left.split_once('/') {
                Some((first, next)) => (first, Some(next)),
                None => (left, None),
            };
            let fits = match segment {
                Segment::Fixed(text) => **text == *first,
                Segment::Parameter | Segment::Wildcard => !first.is_empty(),
            };
            if !fits {
                return false;
            }
            rest = next;
        }
        rest.is_none()
    }
}

fn segment(text: &str) -> Result<Segment, TemplateError> {
    if let Some(inner) = text.strip_prefix('{')
        && !inner.starts_with('{')
    {
        let name = inner.strip_suffix('}').ok_or(TemplateError::Brace)?;
        if name.contains(['{', '}']) {
            return Err(TemplateError::Brace);
        }
        return match name.strip_prefix('*') {
            Some("") => Err(TemplateError::NoName),
            Some(_) => Ok(Segment::Wildcard),
            None if name.is_empty() => Err(TemplateError::NoName),
            None => Ok(Segment::Parameter),
        };
    }
    let without = text.replace("{{", "").replace("}}", "");
    if without.contains(['{', '}']) {
        return Err(TemplateError::Brace);
    }
    let text = text.replace("{{", "{").replace("}}", "}");
    Ok(Segment::Fixed(text.into()))
}
