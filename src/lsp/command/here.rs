//! What can be done at a place of a document: the same offers as lenses and as code actions.

use std::time::SystemTime;

use lsp_types::{CodeActionParams, CodeActionResponse, CodeLens, Uri};

use super::Desk;
use crate::{
    documents::Snapshot,
    features::{self, Offer},
    task,
};

impl Desk {
    /// The lenses of a document; `None` for one that is not open.
    pub(crate) async fn lenses(&self, uri: &Uri) -> Option<Vec<CodeLens>> {
        let snapshot = self.editor().documents.get(uri)?;
        let offers = self.offers(&snapshot).await;
        Some(features::lenses(&offers, &snapshot.text, self.editor().agreed()))
    }

    /// The code actions of a range of a document.
    pub(crate) async fn actions(&self, params: &CodeActionParams) -> Option<CodeActionResponse> {
        let snapshot = self.editor().documents.get(&params.text_document.uri)?;
        let offers = self.offers(&snapshot).await;
        Some(features::actions(params, &offers, &snapshot.text, self.editor().agreed()))
    }

    async fn offers(&self, snapshot: &Snapshot) -> Vec<Offer> {
        let Some(path) = snapshot.key.path().map(ToOwned::to_owned) else { return Vec::new() };
        // Settings that cannot work are told when somebody applies; a lens then shows what the release says.
        let is_local = self.agent(Some(path.clone())).await.is_ok_and(|agent| agent.is_local());
        let (buffers, runs) = (self.buffers(), self.runs().clone());
        let offers = move || {
            let releases = features::labeled(&path, &buffers, is_local);
            features::offers(&releases, &runs, SystemTime::now())
        };
        task::blocking("lenses", offers).await.unwrap_or_default()
    }
}
