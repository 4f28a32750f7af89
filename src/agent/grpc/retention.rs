//! `ktl.control.v1.RetentionService`: pins, deletions, and retention on demand.

use ktl_proto::control::v1::{self as wire, retention_service_server::RetentionService};
use tonic::{Request, Response, Status};

use super::{Services, convert, principal, status::session_id};
use crate::session::{Pin, Timestamp};

pub(super) struct Keeper(pub(super) Services);

#[tonic::async_trait]
impl RetentionService for Keeper {
    async fn pin(&self, request: Request<wire::PinRequest>) -> Result<Response<wire::Session>, Status> {
        let principal = principal(request.extensions());
        let wire::PinRequest { session_id: id, reason, until_unix_nano } = request.into_inner();
        let id = session_id(&id)?;
        let (at, until) = (Timestamp::now(), Timestamp(until_unix_nano));
        if until.0 != 0 && until <= at {
            return Err(Status::invalid_argument("until_unix_nano has passed: name a later moment, or 0"));
        }
        let pin = self.0.journal.masker(&id, []).mask(Pin { reason, until, principal, at });
        let session = self.0.journal.pin(&id, Some(pin)).await?;
        Ok(Response::new(convert::session(session, &self.0.base)))
    }

    async fn unpin(&self, request: Request<wire::UnpinRequest>) -> Result<Response<wire::Session>, Status> {
        let id = session_id(&request.into_inner().session_id)?;
        let session = self.0.journal.pin(&id, None).await?;
        Ok(Response::new(convert::session(session, &self.0.base)))
    }

    async fn delete(
        &self,
        request: Request<wire::DeleteRequest>,
    ) -> Result<Response<wire::DeleteResponse>, Status> {
        let principal = principal(request.extensions());
        let wire::DeleteRequest { session_id: id, force } = request.into_inner();
        let deleted = self.0.delete(&session_id(&id)?, force, &principal).await?;
        Ok(Response::new(wire::DeleteResponse { deleted }))
    }

    async fn prune(
        &self,
        request: Request<wire::PruneRequest>,
    ) -> Result<Response<wire::PruneResponse>, Status> {
        let pruned = self.0.journal.prune(&self.0.retention, request.into_inner().dry_run).await?;
        let condemned = pruned.condemned.into_iter().map(|condemned| wire::Condemned {
            session: Some(convert::session(condemned.session, &self.0.base)),
            reason: condemned.reason.to_string(),
            bytes: condemned.bytes,
        });
        let (condemned, freed_bytes) = (condemned.collect(), pruned.freed);
        Ok(Response::new(wire::PruneResponse { condemned, freed_bytes }))
    }
}
