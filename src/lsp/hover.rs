//! What a key of `.ktl.yaml` is for, where the cursor stands.

use ktl_chart::config;
use lsp_types::{Hover, HoverContents, MarkupContent, MarkupKind, Position};

use crate::capabilities::Encoding;
use crate::convert;
use crate::documents::Snapshot;

/// The hover at a position; `None` where there is nothing to say.
pub(crate) fn hover(snapshot: &Snapshot, position: Position, encoding: Encoding) -> Option<Hover> {
    let text = snapshot.text.to_string();
    let byte = convert::offset(&snapshot.text, position, encoding);
    let help = config::help(snapshot.file_name()?, &text, byte)?;
    let note = help.note.map(|note| format!("\n\n*{note}*")).unwrap_or_default();
    let value = format!("**{}**: {}\n\nExpected: {}{note}", help.name, help.doc, help.expected);
    Some(Hover {
        contents: HoverContents::Markup(MarkupContent { kind: MarkupKind::Markdown, value }),
        range: Some(convert::range(&snapshot.text, help.span, encoding)),
    })
}

#[cfg(test)]
mod tests {
    use lsp_types::{DidOpenTextDocumentParams, Range, TextDocumentItem};

    use super::*;
    use crate::documents::Documents;

    #[test]
    fn a_key_is_explained_with_its_own_range() {
        let text = "releases:\n  - name: web\n    apply:\n      timeout: 5m\n";
        let uri = "file:///w/.ktl.yaml".parse().unwrap();
        let text_document = TextDocumentItem::new(uri, "yaml".into(), 1, text.into());
        let snapshot = Documents::default().open(&DidOpenTextDocumentParams { text_document });
        let hover_at = |line, character| hover(&snapshot, Position::new(line, character), Encoding::Utf16);
        let found = hover_at(3, 8).unwrap();
        let HoverContents::Markup(markup) = found.contents else { panic!("markdown is expected") };
        assert!(markup.value.starts_with("**timeout**: "), "{}", markup.value);
        assert_eq!(found.range, Some(Range::new(Position::new(3, 6), Position::new(3, 13))));
        assert_eq!(hover_at(3, 15), None);
        assert_eq!(hover_at(99, 99), None);
    }
}
