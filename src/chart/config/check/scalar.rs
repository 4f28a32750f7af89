//! Single values against their shape.

use super::Check;
use crate::config::duration;
use crate::config::keys::Shape;
use crate::finding::{Edit, Finding, Severity};
use crate::suggest;
use crate::text::Span;
use crate::yaml::scalar::{self, Scalar};
use crate::yaml::{Kind, Node};

impl Check<'_> {
    pub(super) fn scalar(&mut self, shape: Shape, node: Node<'_>, above: Span) {
        let Some(scalar) = scalar::resolve(node) else {
            return self.wrong_type(node, above, &shape.expected());
        };
        let text = node.text().unwrap_or_default();
        match shape {
            Shape::Bool if !matches!(scalar, Scalar::Bool(_)) => self.no_bool(node, text),
            Shape::Int if !matches!(scalar, Scalar::Int(_)) => {
                self.wrong_type(node, above, &shape.expected());
            }
            Shape::Number if !matches!(scalar, Scalar::Int(_) | Scalar::Float(_)) => {
                self.wrong_type(node, above, &shape.expected());
            }
            Shape::Duration => self.duration(node, text),
            Shape::Choice(words) => self.choice(node, text, words),
            Shape::Name { longest, dots } => self.name(shape, node, text, longest, dots),
            Shape::Url => self.url(node, text),
            Shape::Path if text.contains("-----BEGIN") => {
                let message =
                    "expected a path, found the content of a file: keys do not belong here, name the file";
                self.error(node.span().first_line(self.text), "config-content-for-path", message);
            }
            Shape::Text | Shape::Path if matches!(scalar, Scalar::Bool(_)) => self.unquoted_bool(node, text),
            Shape::Text | Shape::Path if text.is_empty() => {
                self.error(
                    node.span(),
                    "config-empty-value",
                    format!("expected {}, found nothing", shape.expected()),
                );
            }
            _ => {}
        }
    }

    fn no_bool(&mut self, node: Node<'_>, text: &str) {
        let span = node.span();
        let message = format!("expected true or false, found {}", found(node));
        let mut finding = Finding::at(self.place(span), Severity::Error, "config-wrong-type", message);
        if let Scalar::Bool(value) = scalar::plain(text) {
            let edit = Edit { place: self.place(span), new_text: value.to_string() };
            finding = finding.with_fix(format!("change to {value}"), vec![edit]);
        }
        self.push(finding);
    }

    fn unquoted_bool(&mut self, node: Node<'_>, text: &str) {
        let span = node.span();
        let message =
            format!("expected text, found `{text}`, which is a boolean in YAML 1.1: put it in quotes");
        let edit = Edit { place: self.place(span), new_text: format!("\"{text}\"") };
        let finding = Finding::at(self.place(span), Severity::Error, "config-wrong-type", message);
        self.push(finding.with_fix("put it in quotes", vec![edit]));
    }

    fn duration(&mut self, node: Node<'_>, text: &str) {
        match duration::parse(text) {
            Some(duration) if duration.is_zero() => {
                self.error(node.span(), "config-duration", "expected a duration longer than zero");
            }
            Some(_) => {}
            None => {
                let expected = Shape::Duration.expected();
                let unit =
                    if text.bytes().all(|byte| byte.is_ascii_digit()) { ": the unit is missing" } else { "" };
                let message = format!("expected {expected}, found {}{unit}", found(node));
                self.error(node.span(), "config-duration", message);
            }
        }
    }

    fn choice(&mut self, node: Node<'_>, text: &str, words: &'static [&'static str]) {
        // `off` without quotes is the boolean false to YAML 1.1, and still the word that was meant.
        if words.contains(&text) {
            return;
        }
        let span = node.span();
        let expected = Shape::Choice(words).expected();
        let nearest = suggest::nearest(text, words.iter().copied());
        let hint = nearest.map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default();
        let message = format!("expected {expected}, found {}{hint}", found(node));
        let mut finding = Finding::at(self.place(span), Severity::Error, "config-wrong-value", message);
        if let Some(nearest) = nearest {
            let edit = Edit { place: self.place(span), new_text: nearest.to_owned() };
            finding = finding.with_fix(format!("change to `{nearest}`"), vec![edit]);
        }
        self.push(finding);
    }

    fn name(&mut self, shape: Shape, node: Node<'_>, text: &str, longest: usize, dots: bool) {
        let label = |label: &str| {
            let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            label.starts_with(edge) && label.ends_with(edge) && label.chars().all(|c| edge(c) || c == '-')
        };
        let good = if dots { text.split('.').all(label) } else { label(text) };
        if good && text.len() <= longest {
            return;
        }
        let found = if good { format!("{} characters", text.len()) } else { found(node) };
        let message = format!("expected {}, found {found}", shape.expected());
        self.error(node.span().first_line(self.text), "config-name", message);
    }

    fn url(&mut self, node: Node<'_>, text: &str) {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
        match host {
            Some(host) if host.contains('@') => {
                let message = "an address must not hold a user or password; use tokenEnv or tokenFile";
                self.error(node.span(), "config-secret", message);
            }
            Some(host) if !host.is_empty() && !host.contains(char::is_whitespace) => {}
            _ => {
                let message = format!("expected {}, found {}", Shape::Url.expected(), found(node));
                self.error(node.span().first_line(self.text), "config-address", message);
            }
        }
    }
}

/// What a node is, in words.
pub(super) fn found(node: Node<'_>) -> String {
    let node = node.resolved();
    let text = node.text().unwrap_or_default();
    let shown: String =
        if text.chars().count() <= 40 && !text.contains('\n') { format!(" `{text}`") } else { String::new() };
    match (node.kind(), scalar::resolve(node)) {
        (Kind::Sequence, _) => "a list".to_owned(),
        (Kind::Mapping, _) => "a map".to_owned(),
        (Kind::Alias, _) => "an alias without an anchor".to_owned(),
        (_, None | Some(Scalar::Null)) => "nothing".to_owned(),
        (_, Some(Scalar::Bool(_))) => format!("the boolean{shown}"),
        (_, Some(Scalar::Int(_) | Scalar::Float(_))) => format!("the number{shown}"),
        (_, Some(Scalar::Text(_))) => format!("the text{shown}"),
    }
}
