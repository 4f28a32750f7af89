//! Texts inside of texts: JSON in JSON, a manifest in a JSON string, what Go quotes in an error. Each layer is the
//! text with one level of escapes undone, and knows where in the text above it every byte came from.

use super::span::Hidden;

/// A text with one level of escapes undone.
pub(super) struct Layer {
    pub(super) text: String,
    /// From this byte on, so many bytes of the text above were left out.
    shifts: Vec<(usize, usize)>,
}

impl Layer {
    /// The layer below a text; `None` where nothing is escaped.
    pub(super) fn below(text: &str) -> Option<Self> {
        let mut at = text.find('\\')?;
        let (mut below, mut shifts, mut left_out) = (String::with_capacity(text.len()), Vec::new(), 0);
        let mut done = 0;
        loop {
            if let Some((c, length)) = escape(&text[at..]) {
                below.push_str(&text[done..at]);
                below.push(c);
                left_out += length - c.len_utf8();
                shifts.push((below.len(), left_out));
                done = at + length;
                at = done;
            } else {
                at += 1;
            }
            match text[at..].find('\\') {
                Some(next) => at += next,
                None => break,
            }
        }
        below.push_str(&text[done..]);
        (!shifts.is_empty()).then_some(Self { text: below, shifts })
    }

    /// Where a byte of this layer, or its end, stands in the text above.
    pub(super) fn origin(&self, at: usize) -> usize {
        let before = self.shifts.partition_point(|(from, _)| *from <= at);
        at + before.checked_sub(1).map_or(0, |before| self.shifts[before].1)
    }

    /// What was found here, in the text above.
    pub(super) fn lift(&self, hidden: Hidden) -> Hidden {
        let Hidden { range, quote, plain } = hidden;
        let plain = plain.or_else(|| Some(self.text[range.clone()].to_owned()));
        let quote = quote.map(|backslashes| 2 * backslashes + 1);
        Hidden { range: self.origin(range.start)..self.origin(range.end), quote, plain }
    }
}

/// The character behind the escape that a text begins with, and the length of the escape.
fn escape(text: &str) -> Option<(char, usize)> {
    let next = text[1..].chars().next()?;
    let c = match next {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        '"' | '\\' | '/' | '\'' => next,
        'u' => return Some((char::from_u32(u32::from_str_radix(text.get(2..6)?, 16).ok()?)?, 6)),
        _ => return None,
    };
    Some((c, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_knows_where_its_bytes_came_from() {
        let text = r#"{"a":"x\n\"y\"\u00e9\\n"} \d"#;
        let layer = Layer::below(text).unwrap();
        assert_eq!(layer.text, "{\"a\":\"x\n\"y\"é\\n\"} \\d");
        let y = layer.text.find('y').unwrap();
        assert_eq!(&text[layer.origin(y)..layer.origin(y + 1)], "y");
        let e = layer.text.find('é').unwrap();
        assert_eq!(&text[layer.origin(e)..layer.origin(e + 2)], "\\u00e9");
        assert_eq!(layer.origin(layer.text.len()), text.len());
        assert!(Layer::below(r"C:\dir").is_none() && Layer::below("plain").is_none());
    }
}
