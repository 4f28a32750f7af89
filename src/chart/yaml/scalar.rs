//! What Helm makes of a scalar. Helm reads YAML 1.1, where `yes` is a boolean and `0755` is 493.

use super::{Kind, Node, Style};

/// A scalar with its type.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar<'t> {
    /// Nothing, `~`, `null`.
    Null,
    /// `true`, `yes`, `on`, ….
    Bool(bool),
    /// Decimal, `0o17`, `017`, `0x1f`, `0b1`, with `_` between digits.
    Int(i128),
    /// With a point or an exponent, `.inf`, `.nan`.
    Float(f64),
    /// Anything else, and everything in quotes.
    Text(&'t str),
}

/// The type and value of a scalar; `None` for collections and aliases.
pub fn resolve(node: Node<'_>) -> Option<Scalar<'_>> {
    let Kind::Scalar(text, style) = node.kind() else { return None };
    Some(match (node.tag(), style) {
        (Some("str"), _) | (None, Style::Quoted | Style::Block) => Scalar::Text(text),
        _ => plain(text),
    })
}

/// What a plain scalar means.
pub fn plain(text: &str) -> Scalar<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => {
            return Scalar::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => {
            return Scalar::Bool(false);
        }
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Scalar::Text(text);
    }
    let digits = text.replace('_', "");
    integer(&digits)
        .map(Scalar::Int)
        .or_else(|| float(&digits).map(Scalar::Float))
        .unwrap_or(Scalar::Text(text))
}

/// Whether a text can be what a tag such as `!!int` says it is.
pub fn fits(tag: &str, text: &str) -> bool {
    match tag {
        "int" => matches!(plain(text), Scalar::Int(_)),
        "float" => matches!(plain(text), Scalar::Int(_) | Scalar::Float(_)),
        "bool" => matches!(plain(text), Scalar::Bool(_)),
        "null" => matches!(plain(text), Scalar::Null),
        _ => true,
    }
}

fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    Some(if negative { -value } else { value })
}

fn float(text: &str) -> Option<f64> {
    let body = text.trim_start_matches(['+', '-']);
    let shaped = body.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && body.chars().any(|c| c.is_ascii_digit())
        && body.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    shaped.then(|| text.parse().ok()).flatten()
}
