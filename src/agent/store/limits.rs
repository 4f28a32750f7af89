//! What is too large for every store.

use super::{
    Append, MAX_BATCH, MAX_PRODUCER, MAX_TAGS, MAX_TEXT, NewSession, Producer, StoreError,
    query::text_columns,
};
use crate::session::{Meta, Pin, Tags};

impl NewSession {
    /// Refuses what is over a limit.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        check_meta(self.meta.get())?;
        check_tags(self.tags.get())
    }
}

impl Append {
    /// Refuses what is over a limit.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        at_most("a batch in frames", self.payloads.len(), MAX_BATCH)?;
        check_producer(&self.producer)?;
        if self.payloads.is_empty() {
            return Err(StoreError::Invalid("a batch needs at least one frame".into()));
        }
        if self.counter == Some(0) {
            return Err(StoreError::Invalid("a producer numbers its frames from 1, not from 0".into()));
        }
        Ok(())
    }
}

pub(crate) fn check_meta(meta: &Meta) -> Result<(), StoreError> {
    let longest = text_columns(meta).into_iter().map(|(_, text)| text.len()).max().unwrap_or(0);
    at_most("a metadata field in bytes", longest, MAX_TEXT)?;
    at_most("metadata args in bytes", meta.args.iter().map(String::len).sum(), MAX_TEXT)?;
    let versions = meta.versions.iter().map(|(part, version)| part.len() + version.len()).sum();
    at_most("metadata versions in bytes", versions, MAX_TEXT)
}

pub(crate) fn check_tags(tags: &Tags) -> Result<(), StoreError> {
    at_most("the number of tags", tags.len(), MAX_TAGS)?;
    let longest = tags.iter().map(|(key, value)| key.len().max(value.len())).max().unwrap_or(0);
    at_most("a tag in bytes", longest, MAX_TEXT)
}

pub(crate) fn check_producer(producer: &Producer) -> Result<(), StoreError> {
    at_most("a producer name in bytes", producer.name.len(), MAX_PRODUCER)?;
    if i64::try_from(producer.epoch).is_err() {
        let why = format!("producer epoch {} is above {}", producer.epoch, i64::MAX);
        return Err(StoreError::Invalid(why));
    }
    Ok(())
}

pub(crate) fn check_pin(pin: &Pin) -> Result<(), StoreError> {
    if pin.reason.trim().is_empty() {
        return Err(StoreError::Invalid("a pin needs a reason, so that others know when it may go".into()));
    }
    at_most("the reason of a pin in bytes", pin.reason.len(), MAX_TEXT)
}

pub(crate) fn at_most(what: &'static str, actual: usize, limit: usize) -> Result<(), StoreError> {
    if actual > limit { Err(StoreError::TooLarge { what, actual, limit }) } else { Ok(()) }
}
