//! Single fields of a map, where their type is right; that it is wrong somewhere, `check` has said.

use crate::config::{SetKind, SetValue};
use crate::text::{Span, Spanned};
use crate::yaml::scalar::{self, Scalar};
use crate::yaml::{Entry, Kind, Node, Style};

/// A text, number or boolean as written.
pub(super) fn text(node: Node<'_>, key: &str) -> Option<Spanned<String>> {
    let value = node.get(key)?;
    let text = value.text().filter(|text| !text.is_empty() && !value.is_null())?;
    Some(Spanned::new(text.to_owned(), value.span()))
}

/// The texts of a list.
pub(super) fn texts(node: Node<'_>, key: &str) -> Vec<Spanned<String>> {
    let items = node.get(key).into_iter().flat_map(Node::items).filter(|item| !item.is_null());
    items.filter_map(|item| Some(Spanned::new(item.text()?.to_owned(), item.span()))).collect()
}

/// A boolean.
pub(super) fn flag(node: Node<'_>, key: &str) -> Option<bool> {
    match scalar::resolve(node.get(key)?.resolved())? {
        Scalar::Bool(value) => Some(value),
        _ => None,
    }
}

/// The values of Helm's `--set` family, kind by kind.
pub(super) fn set_values(node: Node<'_>) -> Vec<SetValue> {
    const KEYS: [(&str, SetKind); 5] = [
        ("set", SetKind::Value),
        ("setString", SetKind::String),
        ("setJson", SetKind::Json),
        ("setFile", SetKind::File),
        ("setLiteral", SetKind::Literal),
    ];
    let mut values = Vec::new();
    for (key, kind) in KEYS {
        let Some(node) = node.get(key) else { continue };
        for item in node.items() {
            let Some(text) = item.text().filter(|text| !text.is_empty()) else { continue };
            values.push(SetValue { kind, expression: text.to_owned(), span: inside_quotes(item) });
        }
        values.extend(node.merged_entries().into_iter().filter_map(|entry| set_entry(kind, entry)));
    }
    values
}

/// The expression alone: its columns are Helm's.
fn inside_quotes(item: Node<'_>) -> Span {
    let span = item.span();
    match item.kind() {
        Kind::Scalar(_, Style::Quoted) if span.end - span.start > 2 => {
            Span::new(span.start + 1, span.end - 1)
        }
        _ => span,
    }
}

/// An entry of a map as an argument in Helm's grammar.
fn set_entry(kind: SetKind, entry: Entry<'_>) -> Option<SetValue> {
    let name = entry.key.text()?;
    let value = entry.value.resolved();
    let argument = match value.text() {
        Some(_) if value.is_null() => "null".to_owned(),
        Some(text) => escaped(kind, text),
        None if value.is_sequence() => {
            let items: Option<Vec<String>> =
                value.items().map(|item| Some(escaped(kind, item.text()?))).collect();
            format!("{{{}}}", items?.join(","))
        }
        None => return None,
    };
    Some(SetValue { kind, expression: format!("{name}={argument}"), span: entry.span() })
}

/// A value of a map is meant as it stands, so what Helm's grammar would split at is escaped: the comma, the backslash,
/// a brace at the head. JSON and literal values have no escapes; a whole `{a,b}` stays Helm's list.
fn escaped(kind: SetKind, text: &str) -> String {
    let list = text.starts_with('{') && text.ends_with('}');
    if matches!(kind, SetKind::Json | SetKind::Literal) || list {
        return text.to_owned();
    }
    let escaped = text.replace('\\', "\\\\").replace(',', "\\,");
    if escaped.starts_with('{') { format!("\\{escaped}") } else { escaped }
}
