//! `ktl.control.v1.SessionService`: sessions as we speak of them.

use std::time::Duration;

use futures::{StreamExt as _, stream::BoxStream};
use ktl_proto::control::v1::{self as wire, session_service_server::SessionService};
use tonic::{Request, Response, Status};

use super::{Services, convert, status::session_id};

pub(super) struct Sessions(pub(super) Services);

#[tonic::async_trait]
impl SessionService for Sessions {
    type FollowStream = BoxStream<'static, Result<wire::FollowEvent, Status>>;

    async fn follow(
        &self,
        request: Request<wire::FollowRequest>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let request = request.into_inner();
        let id = session_id(&request.session_id)?;
        self.0.journal.require(&id).await?;
        let after = convert::cursor(request.after);
        let events = self.0.journal.follow(&id, after, heartbeat(request.heartbeat_ms));
        let events = events.map(|item| item.map(convert::followed).map_err(Status::from));
        Ok(Response::new(events.take_until(self.0.stop.clone().cancelled_owned()).boxed()))
    }

    async fn get(&self, request: Request<wire::GetRequest>) -> Result<Response<wire::Session>, Status> {
        let id = session_id(&request.into_inner().session_id)?;
        let session = self.0.journal.require(&id).await?;
        Ok(Response::new(convert::session(session, &self.0.base)))
    }

    async fn list(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Result<Response<wire::ListResponse>, Status> {
        let query = convert::query(request.into_inner());
        let query = query.map_err(|error| Status::invalid_argument(format!("page_token: {error}")))?;
        let page = self.0.journal.list(&query).await?;
        Ok(Response::new(convert::listed(page, &self.0.base)))
    }

    async fn read_source(
        &self,
        request: Request<wire::ReadSourceRequest>,
    ) -> Result<Response<wire::ReadSourceResponse>, Status> {
        let request = request.into_inner();
        let id = session_id(&request.session_id)?;
        let source = self.0.journal.read_source(&id, &request.path).await?;
        let lacks = || Status::not_found(format!("session {id} has no text source {:?}", request.path));
        let source = source.ok_or_else(lacks)?;
        let masked = source.masked.into_bytes();
        Ok(Response::new(wire::ReadSourceResponse { masked, sha256: source.sha256 }))
    }
}

fn heartbeat(ms: u32) -> Duration {
    match ms {
        0 => Duration::from_secs(15),
        ms => Duration::from_millis(ms.into()).clamp(Duration::from_secs(1), Duration::from_mins(5)),
    }
}
