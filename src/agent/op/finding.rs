//! Findings of the blame, as facts: with places that programs and people can use, and a masked excerpt.

use std::collections::BTreeMap;

use ktl_chart::{finding as chart, text::LineIndex};

use crate::{
    frame::{Confidence, Edit, Excerpt, Finding, Fix, ObjectRef, Place, RelatedPlace, Severity},
    mask::Masker,
    sources::{ContentHash, Manifest, SourcePath},
};

use super::suspect::Suspects;

/// How many lines stand on each side of a place in an excerpt.
const AROUND: usize = 3;
/// The longest message in bytes: helm can quote a whole manifest.
const MAX_MESSAGE: usize = 32 << 10;
/// The longest line of an excerpt in bytes: minified files are one line.
const MAX_LINE: usize = 400;

/// What places count in.
#[derive(Clone, Copy)]
pub struct Texts<'a> {
    /// The sources by path.
    pub sources: &'a BTreeMap<String, String>,
    /// Their hashes.
    pub manifest: &'a Manifest,
    /// What hides the secrets in excerpts.
    pub masker: &'a Masker,
    /// What may be secret beside them.
    pub suspects: Option<&'a Suspects>,
}

/// The finding on the wire.
pub fn to_fact(finding: chart::Finding, texts: Texts<'_>) -> Finding {
    let place = finding.place.as_ref().and_then(|place| texts.place(place));
    let excerpt = finding.place.as_ref().and_then(|place| texts.excerpt(place));
    let fixes = finding.fixes.into_iter().map(|fix| Fix {
        title: fix.title,
        edits: fix
            .edits
            .into_iter()
            .map(|edit| Edit { place: texts.place(&edit.place), new_text: edit.new_text })
            .collect(),
    });
    let related = finding.related.into_iter();
    let related =
        related.map(|other| RelatedPlace { place: texts.place(&other.place), message: other.message });
    let severity = match finding.severity {
        chart::Severity::Error => Severity::Error,
        chart::Severity::Warning => Severity::Warning,
        chart::Severity::Information => Severity::Information,
        chart::Severity::Hint => Severity::Hint,
    };
    let confidence = match finding.confidence {
        chart::Confidence::Exact if place.is_some() => Confidence::Exact,
        chart::Confidence::Likely if place.is_some() => Confidence::Likely,
        _ => Confidence::None,
    };
    Finding {
        place,
        severity: severity.into(),
        code: finding.code.to_owned(),
        confidence: confidence.into(),
        message: cut(&finding.message, MAX_MESSAGE),
        related: related.collect(),
        object: finding.object.map(from_chart),
        field: finding.field.unwrap_or_default(),
        excerpt,
        fixes: fixes.collect(),
    }
}

/// An object of ours for the blame.
pub fn to_chart(object: &ObjectRef) -> chart::ObjectRef {
    let ObjectRef { api_version, kind, namespace, name } = object.clone();
    chart::ObjectRef { api_version, kind, namespace, name }
}

fn from_chart(object: chart::ObjectRef) -> ObjectRef {
    let chart::ObjectRef { api_version, kind, namespace, name } = object;
    ObjectRef { api_version, kind, namespace, name }
}

impl Texts<'_> {
    fn place(&self, place: &chart::Place) -> Option<Place> {
        let text = self.sources.get(&place.file)?;
        let lines = LineIndex::new(text);
        let (start, end) = (lines.position(place.span.start), lines.position(place.span.end));
        let number = |number: usize| u32::try_from(number + 1).unwrap_or(u32::MAX);
        Some(Place {
            file: place.file.clone(),
            line: number(start.line),
            column: number(start.utf16),
            end_line: number(end.line),
            end_column: number(end.utf16),
            start_byte: place.span.start as u64,
            end_byte: place.span.end as u64,
            sha256: self.hash_of(&place.file, text),
        })
    }

    /// The listed hash: a file that is no UTF-8 has another one than its text.
    fn hash_of(&self, file: &str, text: &str) -> String {
        let listed = SourcePath::parse(file).ok().and_then(|path| self.manifest.get(&path));
        listed.map_or_else(|| ContentHash::of(text.as_bytes()), |listed| listed.sha256.clone()).to_string()
    }

    fn excerpt(&self, place: &chart::Place) -> Option<Excerpt> {
        let text = self.sources.get(&place.file)?;
        let index = LineIndex::new(text);
        let line = index.position(place.span.start).line;
        let last = index.position(place.span.end).line.min(line + 2 * AROUND);
        let first = line.saturating_sub(AROUND);
        // The whole text is masked, so that a secret is known by its surroundings, also those out of the excerpt.
        let suspected = self.suspects.map_or(&[][..], |suspects| suspects.in_file(&place.file));
        let masked = self.masker.mask_source(text, suspected);
        let lines =
            (first..=last + AROUND).map_while(|line| Some(cut(index.line(line)?.of(masked.get()), MAX_LINE)));
        Some(Excerpt { first_line: u32::try_from(first + 1).ok()?, lines: lines.collect() })
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use ktl_chart::text::Span;

    use super::*;

    #[test]
    fn a_finding_has_a_place_for_people_and_for_programs_and_a_masked_excerpt() {
        let text = "a: 1\nüb: 2\npassword: hunter2-very-secret\nbroken: [\nlast: 1\n".to_owned();
        let start = text.find('[').unwrap();
        let sources = BTreeMap::from([("values.yaml".to_owned(), text)]);
        let masker = Masker::new([]);
        let texts =
            Texts { sources: &sources, manifest: &Manifest::default(), masker: &masker, suspects: None };
        let place = chart::Place { file: "values.yaml".to_owned(), span: Span::new(start, start + 1) };
        let mut finding = chart::Finding::unplaced(chart::Severity::Error, "values-syntax", "no".to_owned());
        finding.place = Some(place);
        finding.confidence = chart::Confidence::Exact;
        let fact = to_fact(finding, texts);
        let place = fact.place.unwrap();
        assert_eq!((place.line, place.column, place.end_line, place.end_column), (4, 9, 4, 10));
        assert_eq!(place.start_byte, start as u64);
        let excerpt = fact.excerpt.unwrap();
        assert_eq!(excerpt.first_line, 1);
        assert_eq!(excerpt.lines[3], "broken: [");
        assert!(!excerpt.lines.concat().contains("hunter2"), "{excerpt:?}");
    }

    #[test]
    fn a_long_line_is_cut_in_an_excerpt() {
        let text = format!("a: {}\n", "ü".repeat(1_000_000));
        let sources = BTreeMap::from([("values.yaml".to_owned(), text)]);
        let masker = Masker::new([]);
        let texts =
            Texts { sources: &sources, manifest: &Manifest::default(), masker: &masker, suspects: None };
        let place = chart::Place { file: "values.yaml".to_owned(), span: Span::new(0, 1) };
        let excerpt = texts.excerpt(&place).unwrap();
        assert!(excerpt.lines[0].starts_with("a: ü") && excerpt.lines[0].ends_with('…'));
        assert!(excerpt.lines[0].len() <= MAX_LINE + '…'.len_utf8());
    }

    #[test]
    fn a_place_in_a_file_that_was_not_sent_is_not_known() {
        let (sources, masker) = (BTreeMap::new(), Masker::new([]));
        let texts =
            Texts { sources: &sources, manifest: &Manifest::default(), masker: &masker, suspects: None };
        let mut finding = chart::Finding::unplaced(chart::Severity::Error, "x", "no".to_owned());
        finding.place = Some(chart::Place { file: "gone".to_owned(), span: Span::new(0, 1) });
        assert_eq!(to_fact(finding, texts).place, None);
    }
}
