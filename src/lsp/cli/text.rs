//! A session in a terminal: what happens, line by line, and failures with the lines of the file around them.

use ktl_proto::control::v1::{
    self as wire, Frame, Level, ObjectStatus, PhaseState, Status, fact::Body, frame::Payload,
};
use unicode::width;

use super::json::{confidence, severity};
use crate::runs::{left_words, message, phase_word, status_word};

mod unicode;

const RED: &str = "31";
const YELLOW: &str = "33";
const GREEN: &str = "32";
const FAINT: &str = "2";
const BOLD: &str = "1";

/// Turns frames into lines.
#[derive(Debug)]
pub(super) struct Text {
    color: bool,
}

impl Text {
    pub(super) fn new(color: bool) -> Self {
        Self { color }
    }

    /// The first lines: what is followed, and where it can be seen.
    pub(super) fn header(&self, session: &str, url: Option<&str>) -> Vec<String> {
        let mut lines = vec![format!("{} {session}", self.paint(FAINT, "session"))];
        lines.extend(url.map(|url| format!("{}    {url}", self.paint(FAINT, "live"))));
        lines
    }

    /// The lines of a frame; most frames have one, some none.
    pub(super) fn frame(&self, frame: &Frame) -> Vec<String> {
        let Some(Payload::Fact(fact)) = &frame.payload else { return Vec::new() };
        match &fact.body {
            Some(Body::Started(started)) => vec![self.started(started)],
            Some(Body::Queued(queued)) => vec![format!("waiting for session {}", queued.session_ahead)],
            Some(Body::Phase(phase)) => self.phase(phase).into_iter().collect(),
            Some(Body::Line(line)) => vec![self.line(line)],
            Some(Body::Object(state)) => self.object(state).into_iter().collect(),
            Some(Body::Event(event)) if event.warning => self.event(event).into_iter().collect(),
            Some(Body::Finding(finding)) => self.finding(finding),
            Some(Body::Note(note)) => vec![self.paint(YELLOW, &note.text)],
            Some(Body::Ended(ended)) => self.ended(ended),
            Some(Body::Objects(_) | Body::Event(_)) | None => Vec::new(),
        }
    }

    fn started(&self, started: &wire::Started) -> String {
        let place = format!("{}/{}", started.cluster, started.namespace);
        let what = format!("{} {} to {place}", started.operation, started.release);
        let helm = if started.helm_version.is_empty() {
            String::new()
        } else {
            format!("  helm {}", started.helm_version)
        };
        format!("{}  {}{}", self.paint(BOLD, &what), started.chart, self.paint(FAINT, &helm))
    }

    fn phase(&self, phase: &wire::Phase) -> Option<String> {
        let word = phase_word(phase.name());
        let seconds = seconds(phase.started_unix_nano, phase.completed_unix_nano);
        let (mark, color, time) = match phase.state() {
            PhaseState::Running => ("▸", BOLD, None),
            PhaseState::Succeeded => ("✓", GREEN, seconds),
            PhaseState::Failed => ("✗", RED, seconds),
            PhaseState::Cancelled => ("■", YELLOW, seconds),
            PhaseState::Skipped | PhaseState::Pending | PhaseState::Unspecified => return None,
        };
        let time = time.map_or_else(String::new, |seconds| format!("  {seconds:.1} s"));
        Some(format!("{} {word}{}", self.paint(color, mark), self.paint(FAINT, &time)))
    }

    fn line(&self, line: &wire::Line) -> String {
        let text = match line.level() {
            Level::Error => self.paint(RED, &line.text),
            Level::Warn => self.paint(YELLOW, &line.text),
            Level::Debug => self.paint(FAINT, &line.text),
            Level::Info | Level::Unspecified => line.text.clone(),
        };
        format!("  {} {text}", self.paint(FAINT, "│"))
    }

    fn object(&self, state: &wire::ObjectState) -> Option<String> {
        let object = state.object.as_ref()?;
        let (word, color) = match state.status() {
            ObjectStatus::Ready => ("ready", GREEN),
            ObjectStatus::Failed => ("failed", RED),
            ObjectStatus::Progressing => ("progressing", FAINT),
            ObjectStatus::Gone => ("gone", FAINT),
            ObjectStatus::Pending | ObjectStatus::Unknown | ObjectStatus::Unspecified => return None,
        };
        let count =
            if state.desired > 0 { format!(" {}/{}", state.ready, state.desired) } else { String::new() };
        let why = match (state.reason.as_str(), state.message.as_str()) {
            ("", "") => String::new(),
            ("", only) | (only, "") => format!("  {only}"),
            (reason, message) => format!("  {reason}: {message}"),
        };
        let name = format!("{}/{}", object.kind, object.name);
        Some(format!("  {name}{count} {}{}", self.paint(color, word), self.paint(FAINT, &why)))
    }

    fn event(&self, event: &wire::ObjectEvent) -> Option<String> {
        let object = event.object.as_ref()?;
        let text = format!("{}/{}  {}: {}", object.kind, object.name, event.reason, event.message);
        Some(format!("  {}", self.paint(YELLOW, &text)))
    }

    /// `error[code] file:line:col message`, and the lines of the file with the place underlined.
    pub(super) fn finding(&self, finding: &wire::Finding) -> Vec<String> {
        let color = if finding.severity() == wire::Severity::Error { RED } else { YELLOW };
        let head = self.paint(color, &format!("{}[{}]", severity(finding.severity()), finding.code));
        let place = match &finding.place {
            Some(place) => format!("{}:{}:{}", place.file, place.line, place.column),
            None => "place not known".to_owned(),
        };
        let sure = match finding.confidence() {
            wire::Confidence::Likely => format!(" ({})", confidence(finding.confidence())),
            _ => String::new(),
        };
        let mut lines = vec![String::new(), format!("{head} {}{sure}", self.paint(BOLD, &place))];
        lines.extend(message(finding).lines().map(|line| format!("  {line}")));
        if let (Some(place), Some(excerpt)) = (&finding.place, &finding.excerpt) {
            lines.extend(self.excerpt(place, excerpt, color));
        }
        for related in &finding.related {
            let place = related.place.as_ref();
            let place = place.map(|place| format!("{}:{}:{} ", place.file, place.line, place.column));
            lines.push(format!(
                "  {} {}{}",
                self.paint(FAINT, "see"),
                place.unwrap_or_default(),
                related.message
            ));
        }
        lines.extend(finding.fixes.iter().map(|fix| format!("  {} {}", self.paint(FAINT, "fix"), fix.title)));
        lines
    }

    fn excerpt(&self, place: &wire::Place, excerpt: &wire::Excerpt, color: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for (number, text) in (excerpt.first_line..).zip(&excerpt.lines) {
            lines.push(format!("{} {text}", self.paint(FAINT, &format!("{number:>5} │"))));
            if number == place.line {
                let start = width(text, place.column.saturating_sub(1));
                let end = if place.end_line == place.line {
                    width(text, place.end_column.saturating_sub(1))
                } else {
                    width(text, u32::MAX)
                };
                let under = format!("{}{}", " ".repeat(start), "^".repeat(end.saturating_sub(start).max(1)));
                lines.push(format!("{} {}", self.paint(FAINT, "      │"), self.paint(color, &under)));
            }
        }
        lines
    }

    fn ended(&self, ended: &wire::Ended) -> Vec<String> {
        let color = if ended.status() == Status::Done { GREEN } else { RED };
        let status = self.paint(color, status_word(ended.status()));
        let mut lines = vec![String::new(), format!("{status}  {}", ended.message).trim_end().to_owned()];
        if let Some(left) = ended.left_behind.as_ref().filter(|_| ended.status() != Status::Done) {
            lines.extend(left_words(left).map(|words| format!("  {words}")));
            lines.extend(
                left.not_ready.iter().map(|object| format!("  not ready: {}/{}", object.kind, object.name)),
            );
        }
        lines
    }

    fn paint(&self, color: &str, text: &str) -> String {
        if self.color && !text.is_empty() { format!("\x1b[{color}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[allow(clippy::cast_precision_loss)] // Tenths of a second of something that took minutes.
fn seconds(from: i64, to: i64) -> Option<f64> {
    (from > 0 && to >= from).then(|| (to - from) as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding() -> wire::Finding {
        wire::Finding {
            place: Some(wire::Place {
                file: "values.yaml".to_owned(),
                line: 2,
                column: 8,
                end_line: 2,
                end_column: 12,
                ..wire::Place::default()
            }),
            severity: wire::Severity::Error.into(),
            code: "values-syntax".to_owned(),
            confidence: wire::Confidence::Likely.into(),
            message: "did not find the end".to_owned(),
            excerpt: Some(wire::Excerpt {
                first_line: 1,
                lines: vec!["image:".to_owned(), "  tag: nope".to_owned()],
            }),
            ..wire::Finding::default()
        }
    }

    #[test]
    fn a_finding_points_at_its_place() {
        let lines = Text::new(false).finding(&finding());
        assert_eq!(
            lines,
            [
                "",
                "error[values-syntax] values.yaml:2:8 (likely)",
                "  did not find the end",
                "    1 │ image:",
                "    2 │   tag: nope",
                "      │        ^^^^",
            ]
        );
    }

    #[test]
    fn a_place_that_is_not_known_is_said() {
        let unknown = wire::Finding { place: None, ..finding() };
        assert!(Text::new(false).finding(&unknown)[1].contains("place not known"));
    }

    #[test]
    fn colors_are_only_there_when_asked_for() {
        assert!(Text::new(true).header("s", None)[0].contains('\x1b'));
        assert!(!Text::new(false).header("s", None)[0].contains('\x1b'));
    }
}
