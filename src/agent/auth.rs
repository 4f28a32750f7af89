//! Who is asking: one answer for gRPC, HTTP and SSE.
//!
//! A request is refused before it is routed when its `Host` is not ours or a browser sends it for another page. Then
//! the token decides, or the cookie of a browser that showed a one-time code. Without a token, which only an agent
//! on loopback may have, everybody who got so far is `anonymous`. Nothing here knows what is asked for.

mod codes;
mod door;
mod hosts;
mod origins;

use std::{fmt, sync::Arc};

use axum::http::{HeaderMap, header};
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;

pub use self::{
    codes::{Browsers, COOKIE, Minted, Redeemed, SECURE_COOKIE},
    door::{Door, guard},
    hosts::Hosts,
    origins::{InvalidOrigin, Origins},
};

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Whoever reaches an agent that has no token.
    Anonymous,
    /// The holder of the token.
    Token,
    /// A browser, let in by a code.
    Browser,
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "anonymous",
            Self::Token => "token",
            Self::Browser => "browser",
        })
    }
}

/// When a browser stops being in: what it still reads then has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expires(pub Instant);

/// The secret of one agent. It is compared in constant time and never printed.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    /// A token as it stands in a file, without the blanks around it. `None` when there is nothing.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.into()))
    }

    fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Why nobody in particular is asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No token and no cookie.
    #[error("missing authentication token")]
    Missing,
    /// A token that is not ours.
    #[error("invalid authentication token")]
    Invalid,
    /// A cookie that was never given, or is too old.
    #[error("this browser's session has ended")]
    Ended,
}

/// Who sends these headers? A wrong `authorization` is not made good by a right `x-ktl-token`, nor by a cookie.
pub(crate) fn principal(
    headers: &HeaderMap,
    token: Option<&Token>,
    browsers: &Browsers,
) -> Result<Principal, Denied> {
    let Some(token) = token else { return Ok(Principal::Anonymous) };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let given =
        [text("authorization"), text("x-ktl-token")].into_iter().flatten().find(|text| !text.is_empty());
    if let Some(given) = given {
        return if token.is(without_scheme(given)) { Ok(Principal::Token) } else { Err(Denied::Invalid) };
    }
    match cookies(headers) {
        ids if ids.is_empty() => Err(Denied::Missing),
        ids if ids.iter().any(|id| browsers.knows(id)) => Ok(Principal::Browser),
        _ => Err(Denied::Ended),
    }
}

/// When the browser that sends these headers stops being in.
pub(crate) fn expires(headers: &HeaderMap, browsers: &Browsers) -> Option<Expires> {
    cookies(headers).into_iter().filter_map(|id| browsers.until(id)).max().map(Expires)
}

/// Every cookie of ours: a browser that talks to two agents on one machine may send both.
fn cookies(headers: &HeaderMap) -> Vec<&str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| matches!(*name, COOKIE | SECURE_COOKIE)).map(|(_, value)| value).collect()
}

/// `Bearer x` and `x` are the same to clients of the public API.
fn without_scheme(given: &str) -> &str {
    match given.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer ") => token.trim(),
        _ => given,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&'static str, &str)]) -> Result<Principal, Denied> {
        let headers =
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        principal(&headers, Token::new(" s3cret\n").as_ref(), &Browsers::default())
    }

    #[test]
    fn the_token_is_taken_with_and_without_its_scheme_from_either_header() {
        for (name, value) in [
            ("authorization", "Bearer s3cret"),
            ("authorization", "bearer s3cret"),
            ("authorization", "s3cret"),
            ("x-ktl-token", "s3cret"),
        ] {
            assert_eq!(asked(&[(name, value)]), Ok(Principal::Token), "{name}: {value}");
        }
    }

    #[test]
    fn a_wrong_authorization_hides_a_right_token() {
        assert_eq!(asked(&[("authorization", "Bearer no"), ("x-ktl-token", "s3cret")]), Err(Denied::Invalid));
        assert_eq!(asked(&[]), Err(Denied::Missing));
        assert_eq!(asked(&[("cookie", "a=b; ktl_session=nope")]), Err(Denied::Ended));
    }

    #[test]
    fn without_a_token_everybody_is_anonymous() {
        assert_eq!(principal(&HeaderMap::new(), None, &Browsers::default()), Ok(Principal::Anonymous));
    }

    #[test]
    fn a_token_is_never_printed() {
        assert_eq!(format!("{:?}", Token::new("s3cret")), "Some(Token(..))");
        assert!(Token::new(" \n").is_none());
    }
}
