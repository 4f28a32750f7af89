//! The door between our words and the protocol's: bytes and positions, findings and diagnostics, errors and codes.
//!
//! Inside the code a place is a byte offset. Lines, columns and UTF-16 exist only here.

use ktl_chart::finding::{Confidence, Finding, Fix, Severity};
use ktl_chart::text::Span;
use lsp_types::{
    Diagnostic, DiagnosticRelatedInformation, DiagnosticSeverity, Location, NumberOrString, Position, Range,
    Uri,
};
use ropey::Rope;
use serde_json::{Value, json};

use crate::capabilities::Encoding;

/// The byte offset of a position. A column beyond the line is its end, a line beyond the text is the text's end.
pub(crate) fn offset(text: &Rope, position: Position, encoding: Encoding) -> usize {
    let line = position.line as usize;
    if line >= text.len_lines() {
        return text.len_bytes();
    }
    let start = text.line_to_char(line);
    let end = start + content_length(text, line);
    let column = position.character as usize;
    let character = match encoding {
        Encoding::Utf8 => {
            let byte = text.char_to_byte(start).saturating_add(column).min(text.char_to_byte(end));
            text.byte_to_char(byte)
        }
        Encoding::Utf16 => {
            let unit = text.char_to_utf16_cu(start).saturating_add(column).min(text.char_to_utf16_cu(end));
            text.utf16_cu_to_char(unit)
        }
    };
    text.char_to_byte(character)
}

/// The position of a byte offset; one beyond the text is the text's end.
pub(crate) fn position(text: &Rope, byte: usize, encoding: Encoding) -> Position {
    let byte = byte.min(text.len_bytes());
    let character = text.byte_to_char(byte);
    let line = text.char_to_line(character);
    let start = text.line_to_char(line);
    let column = match encoding {
        Encoding::Utf8 => text.char_to_byte(character) - text.char_to_byte(start),
        Encoding::Utf16 => text.char_to_utf16_cu(character) - text.char_to_utf16_cu(start),
    };
    Position::new(to_u32(line), to_u32(column))
}

/// The range of a span.
pub(crate) fn range(text: &Rope, span: Span, encoding: Encoding) -> Range {
    Range::new(position(text, span.start, encoding), position(text, span.end, encoding))
}

/// How many characters a line has, without its break.
fn content_length(text: &Rope, line: usize) -> usize {
    let line = text.line(line);
    let breaks = match (line.len_chars().checked_sub(1).map(|last| line.char(last)), line.len_chars()) {
        (Some('\n'), length) if length > 1 && line.char(length - 2) == '\r' => 2,
        (Some('\n' | '\r'), _) => 1,
        _ => 0,
    };
    line.len_chars() - breaks
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Knows the files that findings speak of.
pub(crate) trait Files {
    /// Where the client finds a file, and the text that spans in it count in; `None` when it is not known.
    fn find(&self, file: &str) -> Option<(Uri, Rope)>;
}

/// The diagnostic of a finding and the file it belongs to; `None` when its place is not known here.
pub(crate) fn diagnostic(
    finding: &Finding,
    files: &impl Files,
    encoding: Encoding,
) -> Option<(Uri, Diagnostic)> {
    let place = finding.place.as_ref()?;
    let (uri, text) = files.find(&place.file)?;
    let related: Vec<_> = finding
        .related
        .iter()
        .filter_map(|related| {
            let (uri, text) = files.find(&related.place.file)?;
            let location = Location::new(uri, range(&text, related.place.span, encoding));
            Some(DiagnosticRelatedInformation { location, message: related.message.clone() })
        })
        .collect();
    let fixes: Vec<_> = finding.fixes.iter().filter_map(|fix| fix_data(fix, files, encoding)).collect();
    let message = match finding.confidence {
        Confidence::Exact | Confidence::None => finding.message.clone(),
        Confidence::Likely => format!("{} (likely here)", finding.message),
    };
    let diagnostic = Diagnostic {
        range: range(&text, place.span, encoding),
        severity: Some(severity(finding.severity)),
        code: Some(NumberOrString::String(finding.code.to_owned())),
        source: Some("ktl".to_owned()),
        message,
        related_information: (!related.is_empty()).then_some(related),
        data: Some(json!({ "confidence": confidence(finding.confidence), "fixes": fixes })),
        ..Diagnostic::default()
    };
    Some((uri, diagnostic))
}

/// What a code action later makes of a fix: `{"title", "edits": [{"uri", "range", "newText"}]}`.
fn fix_data(fix: &Fix, files: &impl Files, encoding: Encoding) -> Option<Value> {
    let edits: Option<Vec<_>> = fix
        .edits
        .iter()
        .map(|edit| {
            let (uri, text) = files.find(&edit.place.file)?;
            Some(json!({ "uri": uri, "range": range(&text, edit.place.span, encoding), "newText": edit.new_text }))
        })
        .collect();
    Some(json!({ "title": fix.title, "edits": edits? }))
}

fn severity(severity: Severity) -> DiagnosticSeverity {
    match severity {
        Severity::Error => DiagnosticSeverity::ERROR,
        Severity::Warning => DiagnosticSeverity::WARNING,
        Severity::Information => DiagnosticSeverity::INFORMATION,
        Severity::Hint => DiagnosticSeverity::HINT,
    }
}

fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Exact => "exact",
        Confidence::Likely => "likely",
        Confidence::None => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a: é𝄞b\r\nsecond\nthird\rlast";

    #[test]
    fn offsets_and_positions_are_inverse_in_both_encodings() {
        let text = Rope::from_str(TEXT);
        for encoding in [Encoding::Utf8, Encoding::Utf16] {
            for (byte, _) in TEXT.char_indices().filter(|(_, character)| *character != '\n') {
                let position = position(&text, byte, encoding);
                assert_eq!(offset(&text, position, encoding), byte, "{encoding:?} {position:?}");
            }
        }
    }

    #[test]
    fn columns_count_in_the_agreed_units() {
        let text = Rope::from_str(TEXT);
        let b = TEXT.find('b').unwrap();
        assert_eq!(position(&text, b, Encoding::Utf16), Position::new(0, 6));
        assert_eq!(position(&text, b, Encoding::Utf8), Position::new(0, 9));
        assert_eq!(position(&text, TEXT.len(), Encoding::Utf16), Position::new(3, 4));
    }

    #[test]
    fn what_lies_beyond_is_clamped() {
        let text = Rope::from_str(TEXT);
        let last = Position::new(u32::MAX, u32::MAX);
        for encoding in [Encoding::Utf8, Encoding::Utf16] {
            assert_eq!(offset(&text, Position::new(0, 99), encoding), TEXT.find('\r').unwrap());
            assert_eq!(offset(&text, Position::new(2, u32::MAX), encoding), TEXT.rfind('\r').unwrap());
            assert_eq!(offset(&text, last, encoding), TEXT.len());
            assert_eq!(position(&text, usize::MAX, encoding), Position::new(3, 4));
            assert_eq!(offset(&Rope::new(), last, encoding), 0);
        }
    }

    #[test]
    fn a_column_inside_a_character_is_its_start() {
        let text = Rope::from_str(TEXT);
        let clef = TEXT.find('𝄞').unwrap();
        assert_eq!(offset(&text, Position::new(0, 5), Encoding::Utf16), clef);
        assert_eq!(offset(&text, Position::new(0, 7), Encoding::Utf8), clef);
    }
}
