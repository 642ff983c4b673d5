use buttress::SettingError;
use std::sync::Arc;
use subtle::{Choice, ConstantTimeEq};

/// A bearer token, and whose it is.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) name: Arc<str>,
    secret: Arc<[u8]>,
}

impl Token {
    pub(super) fn new(name: &str, secret: &str) -> Result<Self, SettingError> {
        if name.is_empty() || name.chars().any(char::is_control) {
            let allowed = "a name without control characters";
            return Err(SettingError::new(
                "token",
                format_args!("{name:?}"),
                allowed,
            ));
        }
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            // Not the secret itself: errors are logged.
            let allowed = "visible ASCII characters, at least one";
            return Err(SettingError::new("token", "a secret", allowed));
        }
        Ok(Self {
            name: name.into(),
            secret: secret.as_bytes().into(),
        })
    }

    /// The token that a header field holds. All are compared, so that the time tells nothing about
    /// which it was.
    pub(super) fn find<'a>(tokens: &'a [Self], field: &[u8]) -> Option<&'a Self> {
        let (scheme, given) = field.split_at_checked(BEARER.len())?;
        if !scheme.eq_ignore_ascii_case(BEARER) {
            return None;
        }
        let mut found = None;
        for token in tokens {
            if bool::from(token.is(given)) {
                found = Some(token);
            }
        }
        found
    }

    /// It takes as long as the secret is, whatever is given.
    fn is(&self, given: &[u8]) -> Choice {
        let mut same = (self.secret.len() as u64).ct_eq(&(given.len() as u64));
        for (place, byte) in self.secret.iter().enumerate() {
            let given = given.get(place).copied().unwrap_or(0);
            same &= byte.ct_eq(&given);
        }
        same
    }
}

const BEARER: &[u8] = b"Bearer ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_is_the_secret() {
        let tokens = [
            Token::new("one", "abc").unwrap(),
            Token::new("two", "xyz").unwrap(),
        ];
        let find = |field: &str| Token::find(&tokens, field.as_bytes()).map(|token| &*token.name);
        assert_eq!(find("Bearer abc"), Some("one"));
        assert_eq!(find("bearer xyz"), Some("two"));
        for wrong in [
            "Bearer ab",
            "Bearer abcd",
            "Bearer ",
            "Basic abc",
            "abc",
            "",
            "Bearer  abc",
        ] {
            assert_eq!(find(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn nonsense_is_refused_by_name_and_the_secret_is_not_shown() {
        for (name, secret) in [("", "abc"), ("a\n", "abc"), ("a", ""), ("a", "white space")] {
            let error = Token::new(name, secret).err().unwrap();
            assert_eq!(error.field(), "token");
            assert!(!error.to_string().contains("white space"));
        }
    }
}
