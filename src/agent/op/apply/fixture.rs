//! An apply before its first step, for tests.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::Work;
use crate::{
    clusters::Target,
    helm::{Helm, Major, Version},
    journal::Journal,
    mask::MarkKey,
    op::{
        queue::Queue,
        report::Reporter,
        request::{ApplyRequest, Claims},
        run::{Run, RunFolder},
    },
    session::{Meta, Owner, SessionId, Tags},
    shim::Launcher,
    sources::{ContentHash, Listed, Manifest, SourcePath},
    store::{NewSession, sqlite::SqliteStore},
};

const VALUES: &str = "note: canary-4711\nreplicas: 2\n";

/// The least that can be asked for.
pub(in crate::op) fn request() -> ApplyRequest {
    let apply = serde_json::json!({
        "release": "web", "namespace": "", "chart": "chart", "chart_version": "", "values": [], "set": [],
        "wait": null, "atomic": false, "timeout_seconds": 60, "create_namespace": false, "fail_fast": false,
        "queue": true, "config_path": null,
    });
    serde_json::from_value(apply).unwrap()
}

fn run(id: &SessionId) -> Run {
    let listed = Listed { sha256: ContentHash::of(VALUES.as_bytes()), size: VALUES.len() as u64 };
    let sources = Manifest::new([(SourcePath::parse("values.yaml").unwrap(), listed)]).unwrap();
    let target =
        Target { name: "dev".into(), kubeconfig: Vec::new(), context: None, namespace: "default".into() };
    let helm =
        Helm { program: "helm".into(), version: Version { text: "v4.0.0".into(), major: Major::Four } };
    Run::new(id, request(), sources, target, helm, &Claims::default())
}

pub(super) async fn work(data: &Path) -> Work {
    let journal =
        Journal::new(Arc::new(SqliteStore::open(&data.join("sessions.db")).unwrap()), MarkKey::random());
    let id = SessionId::mint();
    let masker = journal.masker(&id, []);
    let (meta, tags) = (masker.mask(Meta::default()), masker.mask(Tags::new()));
    let new = NewSession { id: id.clone(), meta, tags, owner: Owner::Agent, request: None };
    journal.create(new).await.unwrap();
    let (run, folder) = (run(&id), RunFolder::of(data, &id));
    folder.create(&[]).unwrap();
    Work {
        ticket: Queue::default().enter(run.release_key(), id.clone()),
        run,
        folder,
        reporter: Reporter::new(journal.clone(), id, &masker, 0),
        launcher: Launcher::new("none".into()),
        cancel: CancellationToken::new(),
        texts: BTreeMap::from([("values.yaml".to_owned(), VALUES.to_owned())]),
        watch: None,
        suspects: None,
        journal,
    }
}
