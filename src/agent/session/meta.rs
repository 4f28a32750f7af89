//! What a session is about.

use std::collections::BTreeMap;

/// What a session is about. The agent fills what it knows itself; requester and args are claims of the client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// What was asked for, such as `apply`.
    pub command: String,
    /// The caller's own command line.
    pub args: Vec<String>,
    /// Who the caller says it is.
    pub requester: String,
    /// The agent's name for the cluster.
    pub cluster: String,
    /// The kubeconfig context behind the cluster.
    pub context: String,
    /// The namespace of the release.
    pub namespace: String,
    /// The Helm release.
    pub release: String,
    /// The chart as the user wrote it.
    pub chart: String,
    /// Who was authenticated.
    pub principal: String,
    /// An opaque name of the editor's workspace.
    pub workspace: String,
    /// Where the files came from, as the client says.
    pub repository: Repository,
    /// Versions by part: `ktl-agent`, `helm`, `kubernetes`, `client`.
    pub versions: BTreeMap<String, String>,
    /// The host of the agent.
    pub agent: String,
}

/// A state of a Git repository; all empty when nothing is known of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repository {
    /// Its URL.
    pub remote: String,
    /// The commit that was checked out.
    pub commit: String,
    /// The branch.
    pub branch: String,
    /// Whether files differed from the commit.
    pub dirty: bool,
}

impl Meta {
    /// Takes over every field of `newer` that is not empty.
    pub fn merge(&mut self, newer: Self) {
        let pairs = [
            (&mut self.command, newer.command),
            (&mut self.requester, newer.requester),
            (&mut self.cluster, newer.cluster),
            (&mut self.context, newer.context),
            (&mut self.namespace, newer.namespace),
            (&mut self.release, newer.release),
            (&mut self.chart, newer.chart),
            (&mut self.principal, newer.principal),
            (&mut self.workspace, newer.workspace),
            (&mut self.agent, newer.agent),
        ];
        for (old, new) in pairs {
            if !new.is_empty() {
                *old = new;
            }
        }
        if !newer.args.is_empty() {
            self.args = newer.args;
        }
        // As a whole: a commit means nothing in another repository.
        if newer.repository != Repository::default() {
            self.repository = newer.repository;
        }
        self.versions.extend(newer.versions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_metadata_never_clears_a_field() {
        let mut meta = Meta { release: "web".into(), args: vec!["a".into()], ..Meta::default() };
        meta.merge(Meta { command: "apply".into(), ..Meta::default() });
        assert_eq!((meta.release.as_str(), meta.command.as_str(), meta.args.len()), ("web", "apply", 1));
    }

    #[test]
    fn a_repository_is_replaced_as_a_whole_and_versions_add_up() {
        let versions = |part: &str| BTreeMap::from([(part.to_owned(), "1".to_owned())]);
        let repository = |commit: &str| Repository { commit: commit.into(), ..Repository::default() };
        let dirty = Repository { dirty: true, ..repository("a") };
        let mut meta = Meta { repository: dirty, versions: versions("helm"), ..Meta::default() };
        meta.merge(Meta { versions: versions("client"), ..Meta::default() });
        assert_eq!((meta.repository.commit.as_str(), meta.versions.len()), ("a", 2));
        meta.merge(Meta { repository: repository("b"), ..Meta::default() });
        assert_eq!(meta.repository, repository("b"));
    }
}
