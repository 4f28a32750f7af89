//! Findings that were never sent, in the form of those that were.

use std::path::Path;

use ktl_chart::{
    finding::{Confidence, Finding, Place, Severity},
    text::LineIndex,
};
use ktl_proto::control::v1 as wire;

use crate::workspace::Buffers;

/// Lines around a place that are shown with it.
const AROUND: usize = 2;

/// A finding with absolute paths, as an agent would have sent it; files are named from `folder`.
pub(super) fn to_wire(finding: &Finding, folder: &Path) -> wire::Finding {
    let place = finding.place.as_ref().map(|place| to_wire_place(place, folder));
    wire::Finding {
        excerpt: finding.place.as_ref().and_then(excerpt),
        place,
        severity: match finding.severity {
            Severity::Error => wire::Severity::Error,
            Severity::Warning => wire::Severity::Warning,
            Severity::Information => wire::Severity::Information,
            Severity::Hint => wire::Severity::Hint,
        }
        .into(),
        code: finding.code.to_owned(),
        confidence: match finding.confidence {
            Confidence::Exact => wire::Confidence::Exact,
            Confidence::Likely => wire::Confidence::Likely,
            Confidence::None => wire::Confidence::None,
        }
        .into(),
        message: finding.message.clone(),
        related: finding
            .related
            .iter()
            .map(|related| wire::RelatedPlace {
                place: Some(to_wire_place(&related.place, folder)),
                message: related.message.clone(),
            })
            .collect(),
        fixes: finding
            .fixes
            .iter()
            .map(|fix| wire::Fix {
                title: fix.title.clone(),
                edits: fix
                    .edits
                    .iter()
                    .map(|edit| wire::Edit {
                        place: Some(to_wire_place(&edit.place, folder)),
                        new_text: edit.new_text.clone(),
                    })
                    .collect(),
            })
            .collect(),
        ..wire::Finding::default()
    }
}

fn to_wire_place(place: &Place, folder: &Path) -> wire::Place {
    let path = Path::new(&place.file);
    let text = Buffers::default().text(path).unwrap_or_default();
    let index = LineIndex::new(&text);
    let (start, end) = (index.position(place.span.start), index.position(place.span.end));
    let number = |number: usize| u32::try_from(number + 1).unwrap_or(u32::MAX);
    wire::Place {
        file: path.strip_prefix(folder).unwrap_or(path).display().to_string(),
        line: number(start.line),
        column: number(start.utf16),
        end_line: number(end.line),
        end_column: number(end.utf16),
        start_byte: place.span.start as u64,
        end_byte: place.span.end as u64,
        sha256: String::new(),
    }
}

fn excerpt(place: &Place) -> Option<wire::Excerpt> {
    let text = Buffers::default().text(Path::new(&place.file)).ok()?;
    let index = LineIndex::new(&text);
    let line = index.position(place.span.start).line;
    let first = line.saturating_sub(AROUND);
    let lines =
        (first..=line + AROUND).filter_map(|line| index.line(line)).map(|span| span.of(&text).to_owned());
    Some(wire::Excerpt { first_line: u32::try_from(first + 1).ok()?, lines: lines.collect() })
}

#[cfg(test)]
mod tests {
    use ktl_chart::text::Span;

    use super::*;

    #[test]
    fn a_place_is_told_from_the_folder_in_lines_and_columns_with_the_lines_around_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".ktl.yaml");
        let text = "releases:\n  - name: web\n    chart: ./nope\n";
        std::fs::write(&path, text).unwrap();
        let start = text.find("./nope").unwrap();
        let place = Place { file: path.display().to_string(), span: Span::new(start, start + 6) };
        let finding = Finding {
            place: Some(place),
            confidence: Confidence::Exact,
            ..Finding::unplaced(Severity::Error, "chart-missing", "no")
        };
        let sent = to_wire(&finding, folder.path());
        let place = sent.place.unwrap();
        assert_eq!(
            (place.file.as_str(), place.line, place.column, place.end_column),
            (".ktl.yaml", 3, 12, 18)
        );
        let excerpt = sent.excerpt.unwrap();
        assert_eq!((excerpt.first_line, excerpt.lines.len()), (1, 4));
    }
}
