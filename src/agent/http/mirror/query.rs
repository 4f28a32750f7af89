//! What the address of a public request asks for. What means nothing is passed over, as its clients are used to.

use crate::{
    session::{Meta, Status, Tags, Timestamp},
    store::{SessionQuery, TimeRange},
};

/// The parameters of one request, in their order.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The first value that is not blank, of the first of these names that has one.
    pub(super) fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| {
            let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.trim());
            values.find(|value| !value.is_empty())
        })
    }

    /// A number of the first of these names.
    pub(super) fn number<T: std::str::FromStr>(&self, names: &[&str]) -> Option<T> {
        self.first(names)?.parse().ok()
    }

    /// The first frame that is wanted, from 1.
    pub(super) fn first_sequence(&self) -> u64 {
        self.number(&["from_sequence"]).filter(|from| *from > 0).unwrap_or(1)
    }

    /// The filters of a list.
    pub(super) fn sessions(&self) -> SessionQuery {
        let field = |name: &str| self.first(&[name]).unwrap_or_default().to_owned();
        let moment = |names: &[&str]| Timestamp(self.number(names).unwrap_or(0));
        SessionQuery {
            limit: self.number(&["limit"]).filter(|limit| *limit > 0).unwrap_or(200),
            meta: Meta {
                command: field("command"),
                requester: field("requester"),
                cluster: field("cluster"),
                context: field("kube_context"),
                namespace: field("namespace"),
                release: field("release"),
                chart: field("chart"),
                ..Meta::default()
            },
            loose: true,
            tags: self.tags(),
            status: match self.first(&["state"]).unwrap_or_default().to_ascii_lowercase().as_str() {
                "running" => vec![Status::Running],
                "done" => vec![Status::Done, Status::Cancelled],
                "error" => vec![Status::Error, Status::Lost],
                _ => Vec::new(),
            },
            last_seen: TimeRange {
                from: moment(&["since_last_seen_unix_nano", "since_unix_nano", "since"]),
                to: moment(&["until_last_seen_unix_nano", "until_unix_nano", "until"]),
            },
            ..SessionQuery::default()
        }
    }

    /// `tag=k=v`, and `tag.k=v`, where an empty value asks for the key alone.
    fn tags(&self) -> Tags {
        let pair = |(name, value): &(String, String)| {
            let (key, value) = match name.strip_prefix("tag.") {
                Some(key) => (key, value.as_str()),
                None if name == "tag" => value.split_once('=')?,
                None => return None,
            };
            let key = key.trim();
            (!key.is_empty()).then(|| (key.to_owned(), value.trim().to_owned()))
        };
        self.0.iter().filter_map(pair).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        Parameters(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn filters_are_read_and_what_means_nothing_is_passed_over() {
        let query = parameters(&[
            ("limit", "x"),
            ("namespace", " shop "),
            ("kube_context", "kc"),
            ("state", "DONE"),
            ("since_unix_nano", "5"),
            ("until", "nope"),
            ("tag", "team=core"),
            ("tag", "no pair"),
            ("tag.pr", ""),
            ("tag.", "x"),
            ("relase", "web"),
        ])
        .sessions();
        assert_eq!((query.limit, query.last_seen.from.0, query.last_seen.to.0), (200, 5, 0));
        assert_eq!((query.meta.namespace.as_str(), query.meta.context.as_str()), ("shop", "kc"));
        assert_eq!(query.status, [Status::Done, Status::Cancelled]);
        assert_eq!(query.tags, [("pr", ""), ("team", "core")].map(|(k, v)| (k.into(), v.into())).into());
        assert_eq!(parameters(&[("state", "broken")]).sessions().status, []);
    }

    #[test]
    fn a_number_that_is_none_is_the_first() {
        for (text, from) in [("7", 7), ("0", 1), ("-1", 1), ("x", 1), ("", 1)] {
            assert_eq!(parameters(&[("from_sequence", text)]).first_sequence(), from, "{text}");
        }
    }
}
