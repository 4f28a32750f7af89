//! The keys of `.ktl.yaml`, `stack.yaml` and `release.yaml`: one table for reading, checking, completing and the schema.

mod release;
mod root;
mod stack;

pub(crate) use release::RELEASE;
pub(crate) use root::KTL;
pub(crate) use stack::{RELEASE_FILE, STACK};

/// A key and what may stand there.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// What it is for, in a sentence without a full stop.
    pub(crate) doc: &'static str,
    pub(crate) state: State,
    /// Whether its map is wrong without it.
    pub(crate) required: bool,
}

/// What a value looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    Text,
    /// A path or reference, never the content of a file.
    Path,
    /// `http://` or `https://`, without user or password.
    Url,
    /// A name that Kubernetes takes: lower case, digits and `-`, with dots if `dots`, at most `longest` characters.
    Name {
        longest: usize,
        dots: bool,
    },
    Bool,
    Int,
    Number,
    /// As Go writes it: `1h30m`, `90s`.
    Duration,
    Choice(&'static [&'static str]),
    List(&'static Shape),
    /// A map whose keys are the user's own.
    Map(&'static Shape),
    /// A map with keys of ours.
    Object(&'static [Key]),
    /// Values for Helm's `--set` family: a map, or a list of strings in Helm's grammar.
    Settings,
}

/// Whether this version does what a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Works,
    /// It only tunes, and is not used yet: a warning.
    Unused,
    /// It would guard something and does not yet, unless its value is one of these: it stops an operation.
    Guard {
        harmless: &'static [&'static str],
    },
    /// It belongs to the public ktl.
    Foreign,
    /// It must not stand in the file: an error.
    Forbidden {
        instead: &'static str,
        why: &'static str,
    },
}

impl Key {
    const fn new(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, shape, doc, state: State::Works, required: false }
    }

    const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    const fn unused(self) -> Self {
        Self { state: State::Unused, ..self }
    }

    const fn foreign(self) -> Self {
        Self { state: State::Foreign, ..self }
    }

    const fn guard(self, harmless: &'static [&'static str]) -> Self {
        Self { state: State::Guard { harmless }, ..self }
    }
}

impl Shape {
    /// What is expected, in words: `expected {}`.
    pub(crate) fn expected(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Url => "an address such as https://ktl.example:7443".to_owned(),
            Self::Name { longest, dots } => {
                let dots = if dots { ", `.`" } else { "" };
                format!("a name of lower-case letters, digits{dots} and `-`, at most {longest} characters")
            }
            Self::Bool => "true or false".to_owned(),
            Self::Int => "a whole number".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Duration => "a duration such as 90s, 5m or 1h30m".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) | Self::Object(_) => "a map".to_owned(),
            Self::Settings => "a map, or a list of `key=value`".to_owned(),
        }
    }
}

const TEXTS: Shape = Shape::List(&Shape::Text);
const PATHS: Shape = Shape::List(&Shape::Path);

#[cfg(test)]
mod tests {
    use super::*;

    fn each(keys: &'static [Key], see: &mut dyn FnMut(&'static Key)) {
        for key in keys {
            see(key);
            let mut shape = key.shape;
            while let Shape::List(inner) | Shape::Map(inner) = shape {
                shape = *inner;
            }
            if let Shape::Object(keys) = shape {
                each(keys, see);
            }
        }
    }

    #[test]
    fn every_key_says_what_it_is_for_and_none_stands_twice() {
        for table in [KTL, STACK, RELEASE_FILE] {
            each(table, &mut |key| {
                assert!(!key.doc.is_empty() && !key.doc.ends_with('.'), "{}: {:?}", key.name, key.doc);
                if let Shape::Object(keys) = key.shape {
                    let mut names: Vec<_> = keys.iter().map(|key| key.name).collect();
                    names.sort_unstable();
                    names.dedup();
                    assert_eq!(names.len(), keys.len(), "{} has a key twice", key.name);
                }
            });
        }
    }
}
