//! The forms that a secret takes on its way into a text.

use std::fmt::Write as _;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};

use super::heads::HEAD;

/// The shortest line of a secret of several lines that is searched for alone: `{` and `"type": 1,` are in every text.
const SHORTEST_LINE: usize = 10;

/// The text behind a base64 value, if there is one.
pub(super) fn decode(value: &str) -> Option<String> {
    String::from_utf8(decode_bytes(value)?).ok()
}

/// The bytes behind a base64 value of either alphabet, wrapped or not.
pub(super) fn decode_bytes(value: &str) -> Option<Vec<u8>> {
    let compact: String = value.split_whitespace().collect();
    [&STANDARD, &URL_SAFE, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD]
        .iter()
        .find_map(|engine| engine.decode(&compact).ok())
}

/// Every form of a value that is long enough to be searched for, as a view shows it.
pub(super) fn forms(value: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![unbroken(value)];
    if value.contains('\n') {
        let lines = value.lines().map(str::trim);
        forms.extend(lines.filter(|line| line.len() >= SHORTEST_LINE).map(|line| line.as_bytes().to_vec()));
    }
    let escaped = escaped(value);
    forms.extend(
        [escaped.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")]
            .map(String::into_bytes),
    );
    forms.push(self::escaped(&escaped).into_bytes());
    forms.push(escaped.into_bytes());
    forms.push(unbroken(&value.replace('\'', "''")));
    forms.push(unbroken(&value.replace('\'', "'\\''")));
    forms.extend(
        [percent(value, "%20", false), percent(value, "+", false), percent(value, "%20", true)]
            .map(String::into_bytes),
    );
    forms.extend(base64(value.as_bytes()));
    let hex = value.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    forms.push(hex.to_uppercase().into_bytes());
    forms.push(hex.into_bytes());
    forms.retain(|form| form.len() >= HEAD);
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// A value without line breaks and the blanks around them.
fn unbroken(value: &str) -> Vec<u8> {
    value.lines().map(str::trim).collect::<String>().into_bytes()
}

/// As inside the quotes of JSON.
fn escaped(value: &str) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// As in a URL.
fn percent(value: &str, space: &str, lower: bool) -> String {
    value.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b' ' => out.push_str(space),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
            _ if lower => drop(write!(out, "%{byte:02x}")),
            _ => drop(write!(out, "%{byte:02X}")),
        }
        out
    })
}

/// Inside base64 at each of the three places where a byte can fall, in both alphabets. Characters that also hold bits
/// of the neighbors differ from text to text and are left out.
fn base64(value: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for shift in 0..3 {
        let mut shifted = vec![0; shift];
        shifted.extend_from_slice(value);
        let encoded = STANDARD.encode(&shifted);
        let start = [0, 2, 3][shift];
        let whole = shifted.len() * 8 / 6;
        if let Some(fixed) = encoded.get(start..whole) {
            all.push(fixed.replace('+', "-").replace('/', "_").into_bytes());
            all.push(fixed.as_bytes().to_vec());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(value: &str, form: &str) -> bool {
        forms(value).iter().any(|one| one == form.as_bytes())
    }

    #[test]
    fn a_value_takes_many_forms() {
        let value = "pa\"ss/w?rd <1>";
        for form in [
            value,
            r#"pa\"ss/w?rd <1>"#,
            r#"pa\\\"ss/w?rd <1>"#,
            r#"pa\"ss/w?rd \u003c1\u003e"#,
            "pa%22ss%2Fw%3Frd%20%3C1%3E",
            "pa%22ss%2Fw%3Frd+%3C1%3E",
            "pa%22ss%2fw%3frd%20%3c1%3e",
            "70612273732f773f7264203c313e",
            "70612273732F773F7264203C313E",
        ] {
            assert!(has(value, form), "{form}");
        }
        assert!(has("it's me", "it''s me") && has("it's me", r"it'\''s me"));
    }

    #[test]
    fn a_plain_word_has_few_forms() {
        // Plain, three shifts, and two cases of hexadecimal digits.
        assert_eq!(forms("hunter2hunter2").len(), 6);
    }

    #[test]
    fn a_value_of_several_lines_is_known_by_its_longer_lines() {
        let forms = forms("{\n  \"key\": \"correct horse\"\n}");
        let lines: Vec<&str> = forms.iter().filter_map(|form| std::str::from_utf8(form).ok()).collect();
        assert!(lines.contains(&"\"key\": \"correct horse\"") && !lines.contains(&"{"));
        assert!(lines.contains(&"{\"key\": \"correct horse\"}"), "as one, without its line breaks");
    }

    #[test]
    fn both_alphabets_of_base64_are_read() {
        assert_eq!(decode_bytes("--__"), decode_bytes("++//"));
        assert_eq!(decode("aHVudGVyMg").as_deref(), Some("hunter2"));
        assert_eq!(decode("aHVu\n  dGVyMg==\n").as_deref(), Some("hunter2"));
        assert_eq!(decode("no base64!"), None);
    }
}
