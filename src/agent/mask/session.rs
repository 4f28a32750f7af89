//! Every text of a session beside its frames: metadata, tags, and the request that began it.

use super::{
    Maskable, Masker,
    argv::{self, Word},
    json, names,
    span::{Hidden, merge},
};
use crate::session::{Meta, Pin, Repository, RequestRecord, Tags};

impl Maskable for Meta {
    fn hide(&mut self, masker: &Masker) {
        let Self {
            command,
            args,
            requester,
            cluster,
            context,
            namespace,
            release,
            chart,
            principal,
            workspace,
            repository: Repository { remote, commit, branch, dirty: _ },
            versions,
            agent,
        } = self;
        masker.hide_args(args);
        for text in [command, requester, cluster, context, namespace, release, chart, principal, workspace] {
            text.hide(masker);
        }
        for text in [remote, commit, branch, agent] {
            text.hide(masker);
        }
        versions.hide(masker);
    }
}

impl Maskable for Pin {
    fn hide(&mut self, masker: &Masker) {
        let Self { reason, until: _, principal, at: _ } = self;
        reason.hide(masker);
        principal.hide(masker);
    }
}

impl Maskable for Tags {
    fn hide(&mut self, masker: &Masker) {
        *self = std::mem::take(self)
            .into_iter()
            .map(|(mut key, mut value)| {
                masker.hide_value(&key, &mut value);
                key.hide(masker);
                (key, value)
            })
            .collect();
    }
}

impl Maskable for RequestRecord {
    fn hide(&mut self, masker: &Masker) {
        let Self { digest: _, canonical } = self;
        json::hide(canonical, masker);
    }
}

impl Masker {
    /// A command line in pieces. Its grammar is that of one in a text, but here it is known where an argument ends.
    fn hide_args(&self, args: &mut [String]) {
        let mut start = 0;
        let words: Vec<Word<'_>> = args
            .iter()
            .map(|text| {
                start += text.len() + 1;
                Word { text, start: start - text.len() - 1 }
            })
            .collect();
        let found: Vec<Hidden> = argv::secrets(&words).collect();
        let starts: Vec<usize> = words.iter().map(|word| word.start).collect();
        let values = found.iter().filter_map(|hidden| {
            let at = starts.partition_point(|start| *start <= hidden.range.start) - 1;
            Some(args[at].get(hidden.range.start - starts[at]..hidden.range.end - starts[at])?.to_owned())
        });
        self.known.learn_distinctive(values.collect());
        for (arg, start) in args.iter_mut().zip(starts) {
            let end = start + arg.len();
            let here = found.iter().filter(|hidden| (start..=end).contains(&hidden.range.start));
            let here = here.map(|hidden| Hidden::new(hidden.range.start - start..hidden.range.end - start));
            let all = merge(arg, here.chain(self.hidden(arg)).collect());
            if let Some(masked) = self.marked(arg, &all) {
                *arg = masked;
            }
        }
    }

    /// A value under a name.
    fn hide_value(&self, name: &str, value: &mut String) {
        if names::is_sensitive(name) && names::is_value(value) {
            self.known.learn_distinctive(vec![value.clone()]);
            *value = self.mark_of(value);
        } else {
            value.hide(self);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_and_tags_are_masked_by_their_names() {
        let masker = Masker::new([]);
        let args = ["apply", "--token", "hunter2", "--set", "a.password=hunter2", "--password=hunter2"];
        let meta = Meta { args: args.map(str::to_owned).into(), ..Meta::default() };
        let meta = masker.mask(meta).into_inner();
        assert!(!format!("{meta:?}").contains("hunter2"), "{meta:?}");
        assert_eq!((meta.args[0].as_str(), meta.args[1].as_str()), ("apply", "--token"));
        let tags = Tags::from([("ci-token".into(), "hunter2".into()), ("team".into(), "shop".into())]);
        let tags = masker.mask(tags).into_inner();
        assert!(tags["ci-token"].starts_with("«secret:") && tags["team"] == "shop");
    }
}
