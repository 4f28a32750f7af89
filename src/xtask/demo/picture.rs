//! A terminal's screen as a page that a browser can draw.
//!
//! Pure. Knows the escape sequences that `tmux capture-pane -e` prints: colors, weights and underlines, curly ones
//! included. Ignores every other.

use std::fmt::Write;

/// How large the picture of a screen is, in pixels.
pub(super) fn size(columns: usize, rows: usize) -> (usize, usize) {
    (columns * CELL.0 + 2 * MARGIN, rows * CELL.1 + 2 * MARGIN + TITLE)
}

const CELL: (usize, usize) = (9, 20);
const MARGIN: usize = 14;
const TITLE: usize = 28;

/// The page for a screen of `columns`.
pub(super) fn page(screen: &str, columns: usize) -> String {
    let body: String = lines(screen, columns);
    let (cell, margin, title) = (CELL, MARGIN, TITLE);
    format!(
        "<!doctype html><meta charset=utf-8><style>
body {{ margin: 0; background: #14161b; }}
header {{ height: {title}px; background: #2a2d35; padding-left: {margin}px; display: flex; align-items: center; gap: 8px; }}
header i {{ width: 12px; height: 12px; border-radius: 6px; background: #565b66; }}
pre {{ margin: {margin}px; color: #e0e2ea; font: 15px/{}px 'DejaVu Sans Mono', monospace; width: {}px; overflow: hidden; }}
span {{ text-decoration-thickness: 1.5px; text-underline-offset: 3px; }}
</style><header><i></i><i></i><i></i></header><pre>{body}</pre>",
        cell.1,
        columns * cell.0 + 10
    )
}

/// How the next characters look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Style {
    foreground: Option<String>,
    background: Option<String>,
    line: Option<String>,
    bold: bool,
    italic: bool,
    reverse: bool,
    /// 0 none, 1 straight, 3 curly.
    underline: u8,
}

fn lines(screen: &str, columns: usize) -> String {
    let mut style = Style::default();
    let mut page = String::new();
    for line in screen.trim_end_matches('\n').split('\n') {
        let mut rest = line;
        let mut width = 0;
        while !rest.is_empty() {
            if let Some(sequence) = rest.strip_prefix("\u{1b}[") {
                let end =
                    sequence.find(|c: char| c.is_ascii_alphabetic()).map_or(sequence.len(), |at| at + 1);
                if let Some(parameters) = sequence[..end].strip_suffix('m') {
                    style.apply(parameters);
                }
                rest = &sequence[end..];
                continue;
            }
            // A lone escape, first in the rest, is drawn as it is: no sequence begins with it.
            let next = rest.char_indices().skip(1).find(|(_, character)| *character == '\u{1b}');
            let end = next.map_or(rest.len(), |(at, _)| at);
            width += rest[..end].chars().count();
            style.write(&mut page, &rest[..end]);
            rest = &rest[end..];
        }
        // tmux leaves out what is blank at the end of a line, its color too.
        style.write(&mut page, &" ".repeat(columns.saturating_sub(width)));
        page.push('\n');
    }
    page
}

impl Style {
    /// Changes the style by the parameters of one sequence.
    fn apply(&mut self, parameters: &str) {
        let mut codes = parameters.split(';').peekable();
        while let Some(code) = codes.next() {
            if let Some((kind, parts)) = code.split_once(':') {
                self.apply_colon(kind, parts);
                continue;
            }
            match code.parse().unwrap_or(0) {
                0 => *self = Self::default(),
                1 => self.bold = true,
                3 => self.italic = true,
                4 => self.underline = 1,
                7 => self.reverse = true,
                22 => self.bold = false,
                23 => self.italic = false,
                24 => self.underline = 0,
                27 => self.reverse = false,
                38 => self.foreground = extended(&mut codes),
                39 => self.foreground = None,
                48 => self.background = extended(&mut codes),
                49 => self.background = None,
                58 => self.line = extended(&mut codes),
                59 => self.line = None,
                basic @ (30..=37 | 90..=97) => self.foreground = Some(palette(basic_index(basic, 30))),
                basic @ (40..=47 | 100..=107) => self.background = Some(palette(basic_index(basic, 40))),
                _ => {}
            }
        }
    }

    /// The newer form, with colons: `4:3` is a curly underline, `58:2::255:0:0` a color.
    fn apply_colon(&mut self, kind: &str, parts: &str) {
        let numbers: Vec<u8> = parts.split(':').filter_map(|part| part.parse().ok()).collect();
        let color = match numbers.as_slice() {
            [5, index] => Some(palette(*index)),
            [2, .., red, green, blue] => Some(rgb(*red, *green, *blue)),
            _ => None,
        };
        match kind {
            "4" => self.underline = numbers.first().copied().unwrap_or(1),
            "38" => self.foreground = color,
            "48" => self.background = color,
            "58" => self.line = color,
            _ => {}
        }
    }

    fn write(&self, page: &mut String, text: &str) {
        if text.is_empty() {
            return;
        }
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        // Writing into a string cannot fail.
        let _ = write!(page, "<span style=\"{}\">{text}</span>", self.css());
    }

    fn css(&self) -> String {
        let (mut foreground, mut background) = (self.foreground.clone(), self.background.clone());
        if self.reverse {
            (foreground, background) =
                (background.or(Some("#14161b".into())), foreground.or(Some("#e0e2ea".into())));
        }
        let mut css = String::new();
        let mut rule = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                css += name;
                css += ":";
                css += &value;
                css += ";";
            }
        };
        rule("color", foreground);
        rule("background", background);
        rule("font-weight", self.bold.then(|| "bold".into()));
        rule("font-style", self.italic.then(|| "italic".into()));
        let wave = if self.underline == 3 { "wavy" } else { "solid" };
        let color = self.line.as_deref().unwrap_or("currentcolor");
        rule("text-decoration", (self.underline > 0).then(|| format!("underline {wave} {color}")));
        css
    }
}

/// A color given as `5;INDEX` or `2;R;G;B`.
fn extended<'a>(codes: &mut impl Iterator<Item = &'a str>) -> Option<String> {
    let mut number = || codes.next()?.parse::<u8>().ok();
    match number()? {
        5 => Some(palette(number()?)),
        2 => Some(rgb(number()?, number()?, number()?)),
        _ => None,
    }
}

/// The place in the palette of one of the sixteen codes that begin at `first`.
fn basic_index(code: u16, first: u16) -> u8 {
    let index = if code >= 90 { code - first - 60 + 8 } else { code - first };
    u8::try_from(index).unwrap_or_default()
}

fn rgb(red: u8, green: u8, blue: u8) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// A color of the usual palette of 256.
fn palette(index: u8) -> String {
    const BASIC: [&str; 16] = [
        "#14161b", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#c4c6cd", "#5c6370",
        "#ff7b85", "#b5e890", "#ffd68a", "#82c8ff", "#e29bf0", "#7fdbe6", "#ffffff",
    ];
    match index {
        0..=15 => BASIC[usize::from(index)].to_owned(),
        16..=231 => {
            let step = |value: u8| if value == 0 { 0 } else { 55 + 40 * value };
            let cube = index - 16;
            rgb(step(cube / 36), step(cube / 6 % 6), step(cube % 6))
        }
        grey => {
            let level = 8 + 10 * (grey - 232);
            rgb(level, level, level)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curly_red_underline_stays_curly_and_red() {
        let page = lines("a: \u{1b}[4:3m\u{1b}[58:2::255:95:95mtwo\u{1b}[0m", 6);
        assert!(page.contains("underline wavy #ff5f5f;\">two</span>"), "{page}");
        assert!(page.starts_with("<span style=\"\">a: </span>"), "{page}");
    }

    #[test]
    fn colors_of_all_three_kinds_are_read() {
        let mut style = Style::default();
        style.apply("31;48;5;231");
        assert_eq!(
            (style.foreground.as_deref(), style.background.as_deref()),
            (Some("#e06c75"), Some("#ffffff"))
        );
        style.apply("38;2;1;2;3;49");
        assert_eq!((style.foreground.as_deref(), style.background.as_deref()), (Some("#010203"), None));
        style.apply("");
        assert_eq!(style, Style::default());
    }

    #[test]
    fn text_is_text_whatever_it_looks_like() {
        assert!(lines("<b>&", 4).contains("&lt;b>&amp;"));
    }

    #[test]
    fn characters_of_many_bytes_before_a_sequence_stay_whole() {
        assert!(lines("│\u{1b}[1m■", 2).contains('│'));
    }
}
