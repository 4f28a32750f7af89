//! `- image.tag: Invalid type. Expected: string, given: integer`, up to Helm 3.17; causes stand beside their head.

use super::{Context, Kind, Violation};

/// Words at the head of several violations that are one.
const COMPOSITES: &[&str] = &[
    "Must validate at least one schema (anyOf)",
    "Must validate one and only one schema (oneOf)",
    "Must validate all the schemas (allOf)",
    "Must validate \"then\" as \"if\" was valid",
    "Must validate \"else\" as \"if\" was not valid",
];

pub(super) fn parse(lines: &[&str]) -> Vec<Violation> {
    let mut violations: Vec<Violation> = Vec::new();
    let mut head: Option<String> = None;
    for line in lines {
        let Some((context, message)) = line.strip_prefix("- ").and_then(|line| line.split_once(": ")) else {
            if let Some(last) = violations.last_mut() {
                last.message.push(' ');
                last.message.push_str(line.trim());
            }
            continue;
        };
        let violation = Violation {
            context: Context::Dotted(context.to_owned()),
            kind: kind(message),
            message: message.to_owned(),
        };
        let belongs = head.as_deref().is_some_and(|head| is_below(context, head));
        match violations.last_mut() {
            // The cause knows the place better than the words that only say that nothing fits.
            Some(last) if belongs => {
                last.message = format!("{}: {}", last.message, message);
                last.context = violation.context;
                last.kind = violation.kind;
                head = None;
            }
            _ => {
                head = COMPOSITES.contains(&message).then(|| context.to_owned());
                violations.push(violation);
            }
        }
    }
    violations
}

fn is_below(context: &str, head: &str) -> bool {
    head == "(root)"
        || context == head
        || context.strip_prefix(head).is_some_and(|rest| rest.starts_with('.'))
}

fn kind(message: &str) -> Kind {
    if let Some(name) = between(message, "Additional property ", " is not allowed") {
        return Kind::Key(vec![name.to_owned()]);
    }
    if let Some(name) = between(message, "Property name of \"", "\" does not match") {
        return Kind::Key(vec![name.to_owned()]);
    }
    if let Some(name) = message.strip_suffix(" is required") {
        return Kind::Missing(vec![name.to_owned()]);
    }
    if message.starts_with("Has a dependency on ") {
        return Kind::Value;
    }
    if let Some(items) = between(message, "array items[", "] must be unique")
        && let Some(Ok(index)) = items.rsplit(',').next().map(str::parse)
    {
        return Kind::Item(index);
    }
    Kind::Value
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (inside, _) = text.strip_prefix(before)?.split_once(after)?;
    Some(inside)
}
