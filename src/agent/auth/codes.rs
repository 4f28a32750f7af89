//! The way of a browser in: a one-time code in a link, then a cookie.
//!
//! Both are random and kept here, in memory. A restart of the agent ends every browser's session.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
// Tests let its clock stand still and go on.
use tokio::time::Instant;
use uuid::Uuid;

use crate::session::{SessionId, Timestamp};

/// The name of the browser's cookie.
pub const COOKIE: &str = "ktl_session";
/// Its name over TLS: with this prefix a browser lets no neighboring host and no page in clear set it.
pub const SECURE_COOKIE: &str = "__Host-ktl_session";
/// How long a code may wait in a link.
const CODE_LIFE: Duration = Duration::from_mins(1);
/// How long a browser stays in.
const COOKIE_LIFE: Duration = Duration::from_hours(12);
/// More codes or browsers than anybody needs at once; the oldest give way.
const MOST: usize = 1000;

/// Codes that wait and browsers that are in. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Browsers(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    codes: HashMap<String, Code>,
    cookies: HashMap<String, Instant>,
}

struct Code {
    page: Option<SessionId>,
    until: Instant,
}

/// A code, fresh.
pub struct Minted {
    /// The code; good once.
    pub code: String,
    /// Until when.
    pub expires: Timestamp,
}

/// The answer to a code.
#[derive(Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// The value of the browser's cookie.
    Cookie(String),
    /// It was used, is too old, was meant for another page, or never was.
    Refused,
}

impl Browsers {
    /// Makes a code for the page of one session, or for the list of all.
    pub fn mint(&self, page: Option<SessionId>) -> Minted {
        let now = Instant::now();
        let code = random();
        let mut state = self.lock();
        state.codes.retain(|_, code| code.until > now);
        if state.codes.len() >= MOST {
            let oldest = state.codes.iter().min_by_key(|(_, code)| code.until).map(|(text, _)| text.clone());
            oldest.and_then(|oldest| state.codes.remove(&oldest));
        }
        state.codes.insert(code.clone(), Code { page, until: now + CODE_LIFE });
        let life = i64::try_from(CODE_LIFE.as_nanos()).unwrap_or(0);
        Minted { code, expires: Timestamp(Timestamp::now().0 + life) }
    }

    /// Takes a code away and lets its browser in.
    pub fn redeem(&self, page: Option<&SessionId>, code: &str) -> Redeemed {
        let now = Instant::now();
        let mut state = self.lock();
        // Taken away whatever comes of it: a code that was shown to the wrong page has been seen.
        let good =
            state.codes.remove(code).is_some_and(|code| code.until > now && code.page.as_ref() == page);
        if !good {
            return Redeemed::Refused;
        }
        drop(state);
        Redeemed::Cookie(self.admit())
    }

    /// Lets a browser in that showed the token itself. The answer is the value of its cookie.
    pub fn admit(&self) -> String {
        let now = Instant::now();
        let mut state = self.lock();
        state.cookies.retain(|_, until| *until > now);
        if state.cookies.len() >= MOST {
            let oldest = state.cookies.iter().min_by_key(|(_, until)| **until).map(|(id, _)| id.clone());
            oldest.and_then(|oldest| state.cookies.remove(&oldest));
        }
        let id = random();
        state.cookies.insert(id.clone(), now + COOKIE_LIFE);
        id
    }

    /// Whether a cookie is that of a browser that is in.
    pub fn knows(&self, id: &str) -> bool {
        self.until(id).is_some()
    }

    /// Until when a cookie is that of a browser that is in.
    pub(super) fn until(&self, id: &str) -> Option<Instant> {
        self.lock().cookies.get(id).copied().filter(|until| *until > Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 256 bits that nobody can guess: two random UUIDs carry 244, hashed so that no fixed bit shows.
fn random() -> String {
    let mut hash = Sha256::new();
    hash.update(Uuid::new_v4().as_bytes());
    hash.update(Uuid::new_v4().as_bytes());
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[test]
    fn a_code_lets_one_browser_in_once() {
        let browsers = Browsers::default();
        let page = SessionId::mint();
        let minted = browsers.mint(Some(page.clone()));
        let Redeemed::Cookie(id) = browsers.redeem(Some(&page), &minted.code) else { panic!("refused") };
        assert!(browsers.knows(&id) && !browsers.knows(&minted.code));
        assert_eq!(browsers.redeem(Some(&page), &minted.code), Redeemed::Refused);
    }

    #[test]
    fn the_oldest_code_gives_way_and_the_newest_works() {
        let browsers = Browsers::default();
        let codes: Vec<String> = (0..=MOST).map(|_| browsers.mint(None).code).collect();
        assert!(matches!(browsers.redeem(None, &codes[MOST]), Redeemed::Cookie(_)));
        assert_eq!(browsers.redeem(None, &codes[0]), Redeemed::Refused);
        assert!(matches!(browsers.redeem(None, &codes[1]), Redeemed::Cookie(_)));
    }

    #[test]
    fn a_code_of_another_page_is_refused_and_gone() {
        let browsers = Browsers::default();
        let page = SessionId::mint();
        let minted = browsers.mint(Some(page.clone()));
        assert_eq!(browsers.redeem(Some(&SessionId::mint()), &minted.code), Redeemed::Refused);
        assert_eq!(browsers.redeem(Some(&page), &minted.code), Redeemed::Refused, "it has been seen");
    }

    #[tokio::test(start_paused = true)]
    async fn a_code_waits_for_a_minute_and_a_browser_stays_for_half_a_day() {
        let browsers = Browsers::default();
        let (soon, late) = (browsers.mint(None).code, browsers.mint(None).code);
        let moment = Duration::from_millis(1);
        advance(CODE_LIFE.saturating_sub(moment)).await;
        let Redeemed::Cookie(id) = browsers.redeem(None, &soon) else { panic!("refused") };
        advance(moment).await;
        assert_eq!(browsers.redeem(None, &late), Redeemed::Refused);
        advance(COOKIE_LIFE.saturating_sub(moment * 2)).await;
        assert!(browsers.knows(&id));
        advance(moment).await;
        assert!(!browsers.knows(&id));
    }
}
