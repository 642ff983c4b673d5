use http::Method;

/// Methods: a bit for each of the usual ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Methods {
    usual: u16,
    others: Vec<Method>,
}

/// What `HEAD` is to a rule for `GET`.
///
/// Servers answer `HEAD` by what they have for `GET`, so the limits of the one are the other's.
/// But where a rule with the very same path names `HEAD` and matches the request, it is for that rule
/// to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// As good as `GET`.
    AsGet,
    /// A method like any other.
    OfItsOwn,
}

const USUAL: [Method; 9] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::HEAD,
    Method::OPTIONS,
    Method::CONNECT,
    Method::PATCH,
    Method::TRACE,
];

impl Methods {
    pub(super) fn of(methods: &[Method]) -> Self {
        let mut usual = 0;
        let mut others = Vec::new();
        for method in methods {
            match bit(method) {
                0 => others.push(method.clone()),
                bit => usual |= bit,
            }
        }
        Self { usual, others }
    }

    pub(super) fn is_any(&self) -> bool {
        self.usual == 0 && self.others.is_empty()
    }

    /// Whether it is one of them by its name.
    pub(super) fn name(&self, method: &Method) -> bool {
        match bit(method) {
            0 => self.others.contains(method),
            bit => self.usual & bit != 0,
        }
    }

    #[inline]
    pub(super) fn hold(&self, method: &Method, head: Head) -> bool {
        let as_get = head == Head::AsGet && method == Method::HEAD;
        self.is_any() || self.name(method) || (as_get && self.name(&Method::GET))
    }

    /// Each of them by its name. None if they are any.
    pub(super) fn names(&self) -> impl Iterator<Item = &Method> {
        let usual = USUAL.iter().filter(|method| self.name(method));
        usual.chain(&self.others)
    }
}

fn bit(method: &Method) -> u16 {
    let place = USUAL.iter().position(|usual| usual == method);
    place.map_or(0, |place| 1 << place)
}
