//! The stream of a public apply, and what happens when its caller leaves it.

use std::{collections::VecDeque, time::Duration};

use futures::{StreamExt as _, stream, stream::BoxStream};
use ktl_proto::api::v1 as api;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{Story, Streamed};
use crate::{
    grpc::Services,
    journal::Followed,
    op::Operations,
    session::{Cursor, SessionId},
    store::StoreError,
};

/// Cancels the operation when it is dropped, unless somebody said that it may go on.
pub(super) struct Leaving {
    operations: Operations,
    id: SessionId,
    principal: String,
    stop: CancellationToken,
    is_armed: bool,
}

impl Leaving {
    pub(super) fn new(
        operations: Operations,
        id: SessionId,
        principal: String,
        stop: CancellationToken,
    ) -> Self {
        Self { operations, id, principal, stop, is_armed: true }
    }

    /// Nothing is to be cancelled any more, or never was.
    pub(super) fn stay(&mut self) {
        self.is_armed = false;
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        // An agent that stops closes its streams; its operations go on under the next one.
        if self.is_armed && !self.stop.is_cancelled() {
            self.operations.abandon(self.id.clone(), std::mem::take(&mut self.principal));
        }
    }
}

struct Told {
    frames: BoxStream<'static, Result<Followed, StoreError>>,
    story: Story,
    leaving: Leaving,
    waiting: VecDeque<api::DeployEvent>,
    over: Option<Result<(), Status>>,
}

/// The events of the session from its first frame to its end.
pub(super) fn events(
    services: &Services,
    id: &SessionId,
    named: Option<api::DeployEvent>,
    story: Story,
    leaving: Leaving,
) -> Streamed<api::DeployEvent> {
    let frames = services.journal.follow(id, Cursor::START, Duration::MAX).boxed();
    let frames = stop_with(frames, services.stop.clone());
    let waiting = named.into_iter().chain(Story::pending()).collect();
    let told = Told { frames, story, leaving, waiting, over: None };
    stream::unfold(told, |mut told| async move { Some((told.next().await?, told)) }).boxed()
}

/// The frames until the agent stops.
fn stop_with(
    frames: BoxStream<'static, Result<Followed, StoreError>>,
    stop: CancellationToken,
) -> BoxStream<'static, Result<Followed, StoreError>> {
    frames.take_until(stop.cancelled_owned()).boxed()
}

impl Told {
    async fn next(&mut self) -> Option<Result<api::DeployEvent, Status>> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(Ok(event));
            }
            match self.over.take() {
                Some(Err(status)) => {
                    self.over = Some(Ok(()));
                    return Some(Err(status));
                }
                Some(Ok(())) => return None,
                None => {}
            }
            match self.frames.next().await {
                Some(Ok(Followed::Frame(frame))) => {
                    self.waiting.extend(self.story.see(&frame));
                    if let Some(end) = self.story.end() {
                        self.leaving.stay();
                        self.over = Some(end);
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => self.over = Some(Err(error.into())),
                None => {
                    self.leaving.stay();
                    let id = &self.leaving.id;
                    let words =
                        format!("the agent is stopping; the apply goes on as session {id}: subscribe to it");
                    self.over = Some(Err(Status::unavailable(words)));
                }
            }
        }
    }
}
