//! `- at '/image/tag': got number, want string`, from Helm 3.18 on; causes are indented below.

use super::{Context, Kind, Violation, quoted, unquoted};

/// A line of the tree, with the lines indented below it.
struct Node {
    indent: usize,
    pointer: Vec<String>,
    message: String,
    causes: Vec<Node>,
}

pub(super) fn parse(lines: &[&str]) -> Vec<Violation> {
    let mut nodes: Vec<Node> = Vec::new();
    for line in lines {
        let indent = line.len() - line.trim_start().len();
        let Some(rest) = line.trim_start().strip_prefix("- at '") else {
            // A message over several lines.
            if let Some(last) = nodes.last_mut() {
                last.message.push(' ');
                last.message.push_str(line.trim());
            }
            continue;
        };
        let (pointer, length) = unquoted(rest);
        let message = rest.get(length..).unwrap_or_default().trim_start_matches(':').trim().to_owned();
        let steps =
            pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
        add(&mut nodes, Node { indent, pointer: steps, message, causes: Vec::new() });
    }
    nodes.into_iter().flat_map(violations).collect()
}

fn add(nodes: &mut Vec<Node>, node: Node) {
    match nodes.last_mut() {
        Some(last) if last.indent < node.indent => add(&mut last.causes, node),
        _ => nodes.push(node),
    }
}

/// The violations of a tree. A head that only says that something below is wrong gives way to all that is below.
fn violations(node: Node) -> Vec<Violation> {
    let is_frame = node.message == "validation failed" || node.message.starts_with("'allOf'");
    if is_frame && !node.causes.is_empty() {
        return node.causes.into_iter().flat_map(violations).collect();
    }
    vec![violation(node)]
}

/// The violation of a tree: at its head, unless exactly one branch got further than the head, because then that is the
/// form that was meant.
fn violation(node: Node) -> Violation {
    let message = words(&node);
    let depth = node.pointer.len();
    let alternatives = node.message.starts_with("'anyOf'") || node.message.starts_with("'oneOf'");
    let names_keys = matches!(kind(&node.message), Kind::Key(_));
    if !node.causes.is_empty() && !names_keys {
        let deeper = node.causes.iter().filter(|cause| deepest(cause).pointer.len() > depth).count();
        let meant = match node.causes.as_slice() {
            [only] => Some(only),
            causes if alternatives && deeper == 1 => {
                causes.iter().find(|cause| deepest(cause).pointer.len() > depth)
            }
            _ => None,
        };
        if let Some(meant) = meant {
            let leaf = deepest(meant);
            let context = Context::Pointer(leaf.pointer.clone());
            return Violation { context, kind: kind(&leaf.message), message };
        }
        let all_missing = node.causes.iter().all(|cause| matches!(kind(&cause.message), Kind::Missing(_)));
        if all_missing {
            return Violation {
                context: Context::Pointer(node.pointer),
                kind: Kind::Missing(Vec::new()),
                message,
            };
        }
    }
    let kind = kind(&node.message);
    Violation { context: Context::Pointer(node.pointer), kind, message }
}

fn deepest(node: &Node) -> &Node {
    let causes = node.causes.iter().map(deepest);
    // Of equally deep ones the first.
    causes.rev().max_by_key(|cause| cause.pointer.len()).unwrap_or(node)
}

fn words(node: &Node) -> String {
    if node.causes.is_empty() {
        return node.message.clone();
    }
    let causes: Vec<String> = node.causes.iter().map(|cause| place_and_words(cause, &node.pointer)).collect();
    format!("{}: {}", node.message, causes.join("; "))
}

fn place_and_words(node: &Node, above: &[String]) -> String {
    match node.pointer.strip_prefix(above) {
        Some(below) if !below.is_empty() => format!("{}: {}", below.join("."), words(node)),
        _ => words(node),
    }
}

fn kind(message: &str) -> Kind {
    if message.starts_with("additional propert") || message.starts_with("invalid propertyName") {
        return Kind::Key(quoted(message));
    }
    if message.starts_with("missing propert") {
        return Kind::Missing(quoted(message));
    }
    if let Some((_, condition)) = message.split_once(" required, if ") {
        return Kind::Key(quoted(condition));
    }
    if let Some(rest) = message.strip_prefix("items at ")
        && let Some((_, second)) = rest.trim_end_matches(" are equal").split_once(" and ")
        && let Ok(index) = second.trim().parse()
    {
        return Kind::Item(index);
    }
    Kind::Value
}
