//! PostgreSQL's errors in our words. This is the only place that reads its codes.

use std::error::Error as _;

use super::StoreError;

/// What the store is called in messages: an address could carry a user's name.
pub(super) const STORE: &str = "the PostgreSQL store";

/// An error of PostgreSQL, or of the way to it, in our words.
#[allow(clippy::needless_pass_by_value)] // Shaped for `map_err`.
pub(super) fn fail(error: tokio_postgres::Error) -> StoreError {
    let why = words(&error);
    let store = STORE.to_owned();
    let Some(code) = error.code() else { return unavailable(why) };
    match code.code() {
        // Whoever holds what we wait for goes on, a deadlock is over once one of its sides gave in, and a server that
        // stops or is full of clients may be back: asking again can help.
        "40001" | "40P01" | "55P03" | "57014" | "57P01" | "57P02" | "57P03" | "57P05" | "53200" | "53300"
        | "25P03" => unavailable(why),
        code if code.starts_with("08") => unavailable(why),
        "53100" => StoreError::Full(store),
        "25006" | "42501" => StoreError::ReadOnly { store, why },
        // A character that PostgreSQL has no room for: NUL.
        "22021" | "22P05" => {
            StoreError::Invalid(format!("a text holds a character that {STORE} cannot keep: {why}"))
        }
        "XX001" | "XX002" => StoreError::Damaged { store, why },
        _ => StoreError::Failed { store, why },
    }
}

/// The store cannot be asked now.
pub(super) fn unavailable(why: impl Into<String>) -> StoreError {
    StoreError::Unavailable { store: STORE.to_owned(), why: why.into() }
}

/// What is stored of `what` cannot be read.
#[allow(clippy::needless_pass_by_value)] // An error, or words.
pub(super) fn damaged(what: impl Into<String>, why: impl ToString) -> StoreError {
    StoreError::Damaged { store: what.into(), why: why.to_string() }
}

/// The driver says "db error" and hides the rest in the sources of its error.
fn words(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return said.message().to_owned();
    }
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
