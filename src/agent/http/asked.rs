//! What the address of a request asks for. What is not understood is refused, by name: an answer to another question
//! would look like an answer.

use std::collections::BTreeSet;

use axum::{
    extract::{FromRequestParts, Path, RawQuery},
    http::request::Parts,
};

use super::Refusal;
use crate::session::SessionId;

/// The most parameters of one request.
const MOST: usize = 200;

/// The session that a path names.
pub(super) struct Named(pub(super) SessionId);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let next = "see /api/v1/sessions for the ids that there are";
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(id) = path.map_err(|error| Refusal::bad(error.body_text(), next))?;
        Ok(Self(SessionId::parse(&id)?))
    }
}

/// The parameters behind the `?`, decoded and in their order.
pub(super) struct Asked(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let RawQuery(query) = RawQuery::from_request_parts(parts, state).await.unwrap_or(RawQuery(None));
        Self::parse(query.as_deref().unwrap_or_default())
    }
}

impl Asked {
    fn parse(query: &str) -> Result<Self, Refusal> {
        let parts: Vec<&str> = query.split('&').filter(|part| !part.is_empty()).collect();
        if parts.len() > MOST {
            let error = format!("the address has {} parameters, the limit is {MOST}", parts.len());
            return Err(Refusal::bad(error, "ask with fewer, in several requests"));
        }
        let pair = |part: &&str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decode(name, name)?, decode(name, value)?))
        };
        parts.iter().map(pair).collect::<Result<_, _>>().map(Self)
    }

    /// All of them, when each has one of these names.
    pub(super) fn only(self, known: &[&str]) -> Result<Self, Refusal> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(self),
            Some((name, _)) => {
                let next = match known {
                    [] => "this address takes none".to_owned(),
                    known => format!("there are: {}", known.join(", ")),
                };
                Err(Refusal::bad(format!("no parameter {:?}", shown(name)), next))
            }
        }
    }

    /// The value of a parameter that may be there once.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.0.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
        let value = values.next();
        match values.next() {
            None => Ok(value),
            Some(_) => Err(Refusal::bad(format!("parameter {name} is there twice"), "send it once")),
        }
    }

    /// The values of a parameter.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Sessions that `session` names, each once, at most so many.
    pub(super) fn sessions(&self, most: usize) -> Result<BTreeSet<SessionId>, Refusal> {
        let mut sessions = BTreeSet::new();
        for text in self.all("session") {
            let id = SessionId::parse(text)?;
            if !sessions.insert(id) {
                return Err(Refusal::bad(format!("session {text} is named twice"), "name each session once"));
            }
        }
        let next = format!("name 1 to {most} sessions: ?session=A&session=B");
        match sessions.len() {
            0 => Err(Refusal::bad("no parameter session", next)),
            count if count > most => {
                Err(Refusal::bad(format!("{count} sessions are named, the limit is {most}"), next))
            }
            _ => Ok(sessions),
        }
    }

    /// The pairs themselves.
    pub(super) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }
}

/// A number within bounds, or a refusal that names parameter and bounds.
pub(super) fn number(name: &str, value: &str, bounds: std::ops::RangeInclusive<u64>) -> Result<u64, Refusal> {
    let number = value.parse().ok().filter(|number| bounds.contains(number));
    number.ok_or_else(|| {
        let (least, most) = bounds.into_inner();
        let error = format!("{name} {:?} is no number from {least} to {most}", shown(value));
        Refusal::bad(error, format!("use {least} to {most}"))
    })
}

/// So much of a value as fits into an answer.
pub(super) fn shown(value: &str) -> String {
    value.chars().take(64).collect()
}

/// Undoes `%XX` and `+`. A `%` that begins nothing, and bytes that are no UTF-8, would otherwise ask for another thing.
fn decode(name: &str, text: &str) -> Result<String, Refusal> {
    let broken = |what: &str| {
        let error = format!("parameter {:?} {what}", shown(name));
        Refusal::bad(error, "write each % as %25, and other bytes as % and two hexadecimal digits of UTF-8")
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
                    return Err(broken("has a % without two hexadecimal digits behind it"));
                };
                u8::try_from(high * 16 + low).unwrap_or(b'?')
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| broken("is no UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(query: &str) -> String {
        Asked::parse(query).and_then(|asked| asked.only(&["a", "b"])).err().unwrap().error
    }

    #[test]
    fn parameters_are_decoded_and_what_is_broken_is_named() {
        let asked = Asked::parse("a=x%20y+z&b=%C3%A4&&a").unwrap();
        assert_eq!(asked.all("a").collect::<Vec<_>>(), ["x y z", ""]);
        assert_eq!(asked.one("b").unwrap(), Some("ä"));
        assert!(asked.one("a").unwrap_err().error.contains("twice"));
        for (query, words) in [
            ("a=%zz", "parameter \"a\" has a %"),
            ("a=100%", "parameter \"a\" has a %"),
            ("b=%ff", "parameter \"b\" is no UTF-8"),
            ("c=1", "no parameter \"c\""),
        ] {
            assert!(error(query).contains(words), "{query}: {}", error(query));
        }
        assert!(error(&"a=1&".repeat(201)).contains("the limit is 200"));
        assert!(error(&"x".repeat(10_000)).len() < 200);
    }

    #[test]
    fn sessions_are_named_once_and_not_too_many() {
        let sessions = |query: &str| Asked::parse(query).unwrap().sessions(2);
        assert_eq!(sessions("session=b&session=a").unwrap().len(), 2);
        assert!(sessions("session=a&session=a").unwrap_err().error.contains("twice"));
        assert!(sessions("session=a&session=b&session=c").unwrap_err().error.contains("the limit is 2"));
        assert!(sessions("").is_err() && sessions("session=a%20b").is_err());
    }

    #[test]
    fn a_number_out_of_bounds_is_refused_with_them() {
        assert_eq!(number("n", "5", 1..=9).unwrap(), 5);
        for value in ["0", "10", "-1", "x", "", "99999999999999999999999"] {
            let refusal = number("n", value, 1..=9).unwrap_err();
            assert!(refusal.error.contains("n \"") && refusal.next == "use 1 to 9", "{value}");
        }
    }
}
