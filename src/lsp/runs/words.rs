//! Runs in words: for progress, lenses, verdicts and terminals.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ktl_proto::control::v1::{LeftBehind, PhaseName, Status};

use super::{Run, State};

impl Run {
    /// What it is doing, in a few words.
    pub(crate) fn doing(&self) -> String {
        if let Some(ahead) = &self.ahead {
            return format!("waiting for session {ahead}");
        }
        let phase = match (&self.state, self.phase()) {
            (State::Starting, _) => "starting",
            (_, Some(phase)) => phase_word(phase),
            (_, None) => "running",
        };
        let mut words = vec![phase.to_owned()];
        let (ready, all) = self.readiness();
        if all > 0 {
            words.push(format!("{ready} of {all} objects ready"));
        }
        words.extend(self.trouble());
        words.join(" · ")
    }

    /// How it went, for a person who reads one line of it.
    pub(crate) fn verdict(&self) -> String {
        let place = format!("{} in {}/{}", self.release, self.cluster, self.namespace);
        match &self.state {
            State::Starting | State::Running => format!("{place}: {}", self.doing()),
            State::NotStarted(why) => format!("{} was not started: {why}", self.release),
            State::InDoubt(why) => format!("whether {} was started is not known: {why}", self.release),
            State::Ended { status: Status::Done, .. } => {
                let (ready, all) = self.readiness();
                let objects =
                    if all > 0 { format!(": {ready} of {all} objects ready") } else { String::new() };
                format!("{place} {}{objects}", status_word(Status::Done))
            }
            State::Ended { status, message, left_behind, .. } => {
                let why = if message.is_empty() { self.first_finding() } else { Some(message.clone()) };
                let why = why.map_or_else(String::new, |why| format!(": {}", first_line(&why)));
                let left = left_behind.as_ref().and_then(left_words);
                let left = left.map_or_else(String::new, |left| format!(" ({left})"));
                format!("{place} {}{why}{left}", status_word(*status))
            }
        }
    }

    fn first_finding(&self) -> Option<String> {
        self.findings.first().map(|finding| finding.message.clone())
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// What became of the release; `None` when nobody could ask for it.
pub(crate) fn left_words(left: &LeftBehind) -> Option<String> {
    match left.release_status.as_str() {
        "" => None,
        "none" => Some("no release was left behind".to_owned()),
        status => Some(format!("release is {status}, revision {}", left.revision)),
    }
}

/// A phase as a word in a sentence.
pub(crate) fn phase_word(phase: PhaseName) -> &'static str {
    match phase {
        PhaseName::Unspecified => "working",
        PhaseName::Sources => "sources",
        PhaseName::Render => "render",
        PhaseName::Upgrade => "upgrade",
        PhaseName::Rollout => "rollout",
    }
}

/// A status as a word in a sentence.
pub(crate) fn status_word(status: Status) -> &'static str {
    match status {
        Status::Unspecified => "unknown",
        Status::Running => "running",
        Status::Done => "done",
        Status::Error => "failed",
        Status::Cancelled => "cancelled",
        Status::Lost => "lost",
    }
}

/// How long ago something was: `just now`, `2 min ago`, `3 h ago`, `5 d ago`.
pub(crate) fn ago(unix_nano: i64, now: SystemTime) -> String {
    let at = UNIX_EPOCH + Duration::from_nanos(u64::try_from(unix_nano).unwrap_or(0));
    let seconds = now.duration_since(at).unwrap_or_default().as_secs();
    match seconds {
        0..60 => "just now".to_owned(),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use ktl_proto::control::v1::{Ended, Started, fact::Body};

    use super::*;
    use crate::runs::tests::frame;

    fn ended(status: Status, message: &str) -> Run {
        let mut run = Run::new("s", "web");
        let started = Started {
            release: "web".into(),
            cluster: "dev".into(),
            namespace: "shop".into(),
            ..Started::default()
        };
        run.apply(&frame(1, Body::Started(started)));
        let left = LeftBehind { release_status: "failed".into(), revision: 3, not_ready: Vec::new() };
        run.apply(&frame(
            2,
            Body::Ended(Ended {
                status: status.into(),
                message: message.into(),
                left_behind: Some(left),
                ..Ended::default()
            }),
        ));
        run
    }

    #[test]
    fn a_verdict_says_where_and_why_and_what_is_left() {
        assert_eq!(
            ended(Status::Error, "helm said no\nand more").verdict(),
            "web in dev/shop failed: helm said no (release is failed, revision 3)"
        );
        assert_eq!(ended(Status::Done, "").verdict(), "web in dev/shop done");
    }

    #[test]
    fn what_was_left_is_said_as_a_person_would() {
        let left =
            |status: &str| left_words(&LeftBehind { release_status: status.into(), ..LeftBehind::default() });
        assert_eq!(left("none").as_deref(), Some("no release was left behind"));
        assert_eq!(left("failed").as_deref(), Some("release is failed, revision 0"));
        assert_eq!(left(""), None);
    }

    #[test]
    fn times_are_rounded_down_to_one_unit() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let at = |seconds: i64| (1_000_000 - seconds) * 1_000_000_000;
        let words: Vec<_> = [5, 60, 179, 3_600, 200_000].map(|seconds| ago(at(seconds), now)).into();
        assert_eq!(words, ["just now", "1 min ago", "2 min ago", "1 h ago", "2 d ago"]);
        assert_eq!(ago(at(-100), now), "just now");
    }
}
