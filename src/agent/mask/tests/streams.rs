//! Secrets that are split over the frames of one source.

use super::*;

/// What is shown of a text that comes in these pieces, with its marks left out.
fn said(masker: &Masker, pieces: &[&str], border: Border) -> String {
    let masker = masker.speaking();
    let mut shown = String::new();
    for piece in pieces {
        let mut text = (*piece).to_owned();
        masker.hide_next("source", &mut text, border);
        let mut done = 0;
        for mark in mark::find(&text) {
            shown.push_str(&text[done..mark.start]);
            shown.push('#');
            done = mark.end;
        }
        shown.push_str(&text[done..]);
        shown.push_str(if border == Border::Line { "\n" } else { "" });
    }
    shown
}

fn lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    said(&Masker::new([]), &lines, Border::Line)
}

#[test]
fn a_known_value_is_hidden_wherever_it_is_split() {
    let masker = Masker::new(["canary-7f3a9c21e4".to_owned()]);
    let text = "the value \x1b[1mcanary-7f3\x1b[0ma9c21e4 is it";
    for first in 0..=text.len() {
        for second in first..=text.len() {
            let pieces = [&text[..first], &text[first..second], &text[second..]];
            let shown = said(&masker, &pieces, Border::Cut);
            let left: String = shown.split('#').flat_map(|part| part.chars()).collect();
            assert!(!left.contains("canary") && !left.contains("9c21"), "{first}, {second}: {shown}");
            assert!(shown.starts_with("the value ") && shown.ends_with(" is it"), "{shown}");
        }
    }
}

#[test]
fn a_value_under_a_name_is_hidden_wherever_it_is_split() {
    let text = "login with password=hunter2-hunter2 and go on\n";
    let value = text.find("hunter2").unwrap();
    for first in value + 1..text.len() {
        let shown = said(&Masker::new([]), &[&text[..first], &text[first..]], Border::Cut);
        assert!(!shown.contains("hunter2") && !shown.contains("nter2"), "{first}: {shown}");
    }
}

#[test]
fn a_manifest_that_comes_line_by_line_is_read() {
    let helm = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: web\ndata:\n  url: aHVudGVyMg==\n  b: |\n    xx\n---\nkind: ConfigMap\ndata:\n  url: http://x\n";
    let shown = lines(helm);
    assert_eq!(shown, helm.replace("aHVudGVyMg==", "#").replace("    xx", "    #"));
    let kubectl = "apiVersion: v1\ndata:\n  url: aHVudGVyMg==\n  c: aGVsbG8gd29ybGQ=\nkind: Secret\n";
    let shown = lines(kubectl);
    assert!(!shown.contains("aHVu") && !shown.contains("aGVs"), "{shown}");
    let json = "{\n    \"data\": {\n        \"url\": \"aHVudGVyMg==\"\n    },\n    \"kind\": \"Secret\"\n}\n";
    assert_eq!(lines(json), json.replace("aHVudGVyMg==", "#"));
    let env = "env:\n- name: DB_PASSWORD\n  value: hunter2\n- name: PORT\n  value: 80\n";
    assert_eq!(lines(env), env.replace("hunter2", "#"));
}

#[test]
fn a_private_key_that_comes_line_by_line_is_hidden_up_to_its_end() {
    let text = "x\n-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc=\n-----END RSA PRIVATE KEY-----\ny\n";
    assert_eq!(lines(text), text.replace("MIIEow", "#").replace("abc=", "#"));
}

#[test]
fn a_line_that_was_cut_goes_on() {
    let long = format!("{{\"a\":\"{}\",\"password\":\"hun", "x".repeat(16 << 10));
    let shown = said(&Masker::new([]), &[&long, "ter2-hunter2\",\"n\":1}"], Border::Line);
    assert!(!shown.contains("hunter2") && shown.contains("\",\"n\":1}"), "{}", &shown[shown.len() - 60..]);
}

#[test]
fn sources_do_not_mix() {
    let masker = Masker::new(["canary-7f3a9c21e4".to_owned()]).speaking();
    let mut first = "cana".to_owned();
    masker.hide_next("a", &mut first, Border::Line);
    let mut second = "ry-7f3a9c21e4".to_owned();
    masker.hide_next("b", &mut second, Border::Line);
    assert_eq!(second, "ry-7f3a9c21e4");
    let mut second = "ry-7f3a9c21e4".to_owned();
    masker.hide_next("a", &mut second, Border::Line);
    assert!(mark::is_mark(&second), "{second}");
}

#[test]
fn a_text_that_shows_another_one_hides_what_the_other_hides() {
    let masker = Masker::new([]).speaking();
    let mut raw = "ter2-hunter2 was it".to_owned();
    masker.hide_next("a", &mut "password=hun".to_owned(), Border::Cut);
    let secrets = masker.hide_next("a", &mut raw, Border::Cut);
    let mut rendered = "pod \x1b[32mter2-hun\x1b[0mter2 was it".to_owned();
    masker.hide_shown(&mut rendered, &secrets);
    assert!(!rendered.contains("ter2"), "{rendered}");
}

#[test]
fn log_lines_in_events_are_one_stream() {
    let masker = Masker::new([]).speaking();
    let mut said = String::new();
    for line in ["kind: Secret", "stringData:", "  note: correct horse", "done"] {
        let mut event = serde_json::json!({ "kind": "event", "log": { "message": line } }).to_string();
        json::hide_event(&mut event, &masker);
        said.push_str(&event);
    }
    assert!(said.contains("note: «secret:") && !said.contains("correct") && said.contains("done"), "{said}");
}
