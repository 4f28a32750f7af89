//! Where a place of an older text is in a newer one.
//!
//! Lines are compared. A place moves with its lines; when one of them changed, what was said about it may no longer
//! be true, and it has no place any more. The older text may be a masked copy: a mark stands for what it hides.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use ktl_chart::text::{LineIndex, Span};
use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};

/// What a mask writes instead of a character that takes 1, 2, 3 or 4 bytes.
const MARKS: [char; 4] = ['*', '·', '•', '🞄'];
/// Fewer marks in a row than this are just punctuation.
const SHORTEST_MARK: usize = 3;
/// After so long the comparison is coarse instead of exact: more places count as changed, none as moved wrongly.
const LONGEST: Duration = Duration::from_millis(500);

/// The movement from one text to another.
pub(crate) struct Moves {
    old: LineIndex,
    new: LineIndex,
    /// Stretches of lines that are the same: their place in the old text, and the first of them in the new one.
    same: Vec<(Range<usize>, usize)>,
}

impl Moves {
    /// Compares two texts; `old` may be masked.
    pub(crate) fn between(old: &str, new: &str) -> Self {
        let (old_index, new_index) = (LineIndex::new(old), LineIndex::new(new));
        let new_lines = lines(&new_index, new);
        let old_lines = unmasked(lines(&old_index, old), &new_lines);
        let deadline = Instant::now() + LONGEST;
        let same = capture_diff_slices_deadline(Algorithm::Myers, &old_lines, &new_lines, Some(deadline))
            .into_iter()
            .filter_map(|operation| match operation {
                DiffOp::Equal { old_index, new_index, len } => Some((old_index..old_index + len, new_index)),
                _ => None,
            })
            .collect();
        Self { old: old_index, new: new_index, same }
    }

    /// Where `span` of the old text is in the new one; `None` when one of its lines changed.
    pub(crate) fn find(&self, span: Span) -> Option<Span> {
        let start = self.old.position(span.start);
        let end = self.old.position(span.end);
        let (lines, first) = self.same.iter().find(|(lines, _)| lines.contains(&start.line))?;
        // A span may end behind the last line, at its break.
        let last = if end.line > start.line && end.utf8 == 0 { end.line - 1 } else { end.line };
        if !lines.contains(&last) {
            return None;
        }
        let moved = |line: usize, column: usize| self.new.byte_utf8(first + line - lines.start, column);
        let end_byte = if last == end.line { moved(end.line, end.utf8) } else { moved(last + 1, 0) };
        Some(Span::new(moved(start.line, start.utf8), end_byte))
    }
}

/// Without their breaks: the same words with another break are the same line.
fn lines<'a>(index: &LineIndex, text: &'a str) -> Vec<&'a str> {
    (0..index.line_count()).filter_map(|line| index.line(line)).map(|span| span.of(text)).collect()
}

/// Replaces masked lines by what they probably hide: the nearest line of the new text that fits around the marks.
fn unmasked<'a>(mut old: Vec<&'a str>, new: &[&'a str]) -> Vec<&'a str> {
    for (number, line) in old.iter_mut().enumerate().filter(|(_, line)| has_mark(line)) {
        let fits = new.iter().enumerate().filter(|(_, candidate)| fits(line, candidate));
        if let Some((_, hidden)) = fits.min_by_key(|(place, _)| place.abs_diff(number)) {
            *line = hidden;
        }
    }
    old
}

fn has_mark(line: &str) -> bool {
    let mut row = 0;
    line.chars().any(|character| {
        row = if MARKS.contains(&character) { row + 1 } else { 0 };
        row == SHORTEST_MARK
    })
}

fn fits(masked: &str, candidate: &str) -> bool {
    masked.len() == candidate.len()
        && masked
            .chars()
            .zip(candidate.chars())
            .all(|(mark, plain)| mark == plain || mark == MARKS[plain.len_utf8() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "image:\n  tag: nope\n  pull: Always\nport: 80\n";

    /// The words at the place where `words` of the old text went.
    fn found<'a>(old: &str, new: &'a str, words: &str) -> Option<&'a str> {
        let start = old.find(words).unwrap();
        Moves::between(old, new).find(Span::new(start, start + words.len())).map(|span| span.of(new))
    }

    #[test]
    fn a_place_moves_with_its_line() {
        let new = format!("# a comment\n# and another\n{OLD}");
        assert_eq!(found(OLD, &new, "nope"), Some("nope"));
        assert_eq!(found(OLD, &OLD.replace("image:\n", ""), "80"), Some("80"));
    }

    #[test]
    fn a_place_whose_line_changed_is_gone() {
        assert_eq!(found(OLD, &OLD.replace("nope", "1.27"), "nope"), None);
        assert_eq!(found(OLD, &OLD.replace("nope", "1.27"), "80"), Some("80"));
        assert_eq!(found(OLD, "", "nope"), None);
    }

    #[test]
    fn a_place_over_several_lines_stays_only_as_a_whole() {
        assert_eq!(found(OLD, &format!("#\n{OLD}"), "tag: nope\n  pull"), Some("tag: nope\n  pull"));
        let torn = OLD.replace("nope\n", "nope\n  # between\n");
        assert_eq!(found(OLD, &torn, "tag: nope\n  pull"), None);
        assert_eq!(found(OLD, &torn, "tag: nope\n"), Some("tag: nope\n"));
    }

    #[test]
    fn another_kind_of_line_break_changes_nothing() {
        assert_eq!(found(OLD, &OLD.replace('\n', "\r\n"), "nope"), Some("nope"));
    }

    #[test]
    fn a_masked_line_is_the_line_that_fits_around_its_marks() {
        let masked = "user: admin\npassword: ****·**\nport: 80\n";
        let plain = "# new\nuser: admin\npassword: s3crét!\nport: 80\n";
        assert_eq!(found(masked, plain, "password"), Some("password"));
        assert_eq!(found(masked, &plain.replace("s3crét!", "other-length"), "password"), None);
        assert_eq!(found(masked, &plain.replace("s3crét!", "other-length"), "80"), Some("80"));
    }
}
