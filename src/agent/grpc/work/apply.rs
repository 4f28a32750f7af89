//! The public `Apply`: an operation of ours whose caller stays, told in the public agent's events.
//!
//! Files come from the agent's own disk, below the folders of `--allow-path` only. Here, and nowhere else, a caller
//! that leaves cancels.

mod follow;
mod plan;
mod story;

use ktl_proto::api::v1 as api;
use tonic::{Response, Status};

use self::{follow::Leaving, plan::Plan, story::Story};
use super::{Recording, Streamed, answer, deploy::Deploys, deploy::first, id_of};
use crate::{
    op::{Operations, StartOutcome, StartRequest, on_disk},
    session::{Meta, SessionId, Tags},
};

/// Starts, or joins, and tells to the end.
pub(super) async fn apply(
    deploys: &Deploys,
    options: api::DeployApplyOptions,
    session_id: &str,
    requester: &str,
    principal: String,
) -> Result<Response<Streamed<api::DeployEvent>>, Status> {
    let (id, is_minted) = id_of(session_id)?;
    let meta = Meta {
        requester: requester.to_owned(),
        context: options.kube_context.trim().to_owned(),
        namespace: options.namespace.trim().to_owned(),
        release: options.release.trim().to_owned(),
        chart: options.chart.trim().to_owned(),
        ..Meta::default()
    };
    match begin(deploys, options, &id, requester, &principal).await {
        Ok((story, leaving)) => {
            // The operation knows its chart by its place among the sources; whoever reads the session, as it was asked.
            let journal = &deploys.services.journal;
            let masker = journal.masker(&id, []);
            let chart = Meta { chart: meta.chart, ..Meta::default() };
            journal.annotate(&id, masker.mask(chart), masker.mask(Tags::new())).await?;
            let named = is_minted.then(|| first(&id));
            let events = follow::events(&deploys.services, &id, named, story, leaving);
            Ok(answer(&id, events))
        }
        // On record, as every call of work is; but for an id that is somebody's already.
        Err(status) => {
            let mut recording = Recording::begin(&deploys.services, id.as_str(), meta, Tags::new()).await?;
            recording.is_minted = is_minted;
            let said = status.message().to_owned();
            recording.refuse(status, said, first).await
        }
    }
}

/// A running operation with its story. Only who started it takes it along when leaving.
async fn begin(
    deploys: &Deploys,
    options: api::DeployApplyOptions,
    id: &SessionId,
    requester: &str,
    principal: &str,
) -> Result<(Story, Leaving), Status> {
    let Deploys { services, operations, allowed } = deploys;
    let cluster = operations.clusters().choose(&options.kubeconfig_path, &options.kube_context);
    let cluster = cluster.map_err(crate::op::OpError::from)?;
    let allowed = allowed.clone();
    let planned = on_disk(move || Ok(Plan::read(options, &allowed))).await;
    let plan = planned.map_err(|error| Status::unavailable(error.to_string()))??;
    let known = services.journal.session(id).await?;
    let is_ours = known.is_none_or(|session| session.is_bare());
    let mut leaving =
        Leaving::new(operations.clone(), id.clone(), principal.to_owned(), services.stop.clone());
    if !is_ours {
        leaving.stay();
    }
    let request = |plan: &Plan| StartRequest {
        id: Some(id.clone()),
        apply: plan.apply.clone(),
        sources: plan.sources.clone(),
        cluster: cluster.clone(),
        claims: crate::op::Claims { requester: requester.to_owned(), ..crate::op::Claims::default() },
    };
    upload(operations, &plan)?;
    match operations.start(request(&plan), principal).await {
        Ok(StartOutcome::Started(session) | StartOutcome::Joined(session)) => {
            Ok((Story::new(&plan, session.meta.namespace), leaving))
        }
        Ok(StartOutcome::Missing(_)) => {
            leaving.stay();
            Err(Status::unavailable(
                "the agent had no room for the files of this apply: try again in a moment",
            ))
        }
        Err(error) => {
            leaving.stay();
            Err(error.into())
        }
    }
}

/// Hands the files over as a client of ours would.
fn upload(operations: &Operations, plan: &Plan) -> Result<(), Status> {
    let mut assembly = operations.upload();
    for (sha256, content) in &plan.contents {
        assembly.push(sha256.as_str(), content).map_err(crate::op::OpError::from)?;
    }
    assembly.finish().map_err(crate::op::OpError::from)?;
    Ok(())
}
