//! Bytes that are no message, or almost one. Each costs itself only: the next request is answered.

use serde_json::{Value, json};

use crate::editor::Editor;
use crate::{ready, wire};

const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;

fn still_serves(editor: &mut Editor) {
    let hover = editor.hover("file:///w/values.yaml");
    assert_eq!(editor.response(hover), Ok(Value::Null));
}

/// Sends bytes, expects one refusal with this code, and goes on.
#[track_caller]
fn refused(bytes: impl Into<Vec<u8>>, code: i64, words: &str) {
    let mut editor = ready();
    editor.raw(bytes);
    // What a refused frame leaves behind shows only with the next message.
    let hover = editor.hover("file:///w/values.yaml");
    let (refused, message) = editor.refusal();
    assert_eq!(refused, code, "{message}");
    assert!(message.contains(words), "{message}");
    assert_eq!(editor.response(hover), Ok(Value::Null));
    still_serves(&mut editor);
    editor.quit();
}

#[test]
fn a_line_of_garbage_is_refused() {
    refused("this is no message\r\n", PARSE_ERROR, "Content-Length");
}

#[test]
fn binary_garbage_is_refused_once() {
    let garbage: Vec<u8> = (0..200_000_u32).map(|byte| (byte * 31 % 251) as u8).collect();
    refused(garbage, PARSE_ERROR, "Content-Length");
}

#[test]
fn garbage_without_a_line_break_hides_no_message() {
    refused("xxxxxxxx", PARSE_ERROR, "Content-Length");
}

#[test]
fn json_that_ends_early_is_refused() {
    refused(wire::frame(br#"{"jsonrpc":"2.0","id":9,"method":"#), PARSE_ERROR, "not JSON");
}

#[test]
fn a_body_shorter_than_announced_costs_itself_only() {
    let body = r#"{"jsonrpc":"2.0","id":9,"method":"textDoc"#;
    refused(format!("Content-Length: {}\r\n\r\n{body}", body.len() + 40), PARSE_ERROR, "not JSON");
}

#[test]
fn a_body_longer_than_announced_is_refused() {
    let body = r#"{"jsonrpc":"2.0","method":"$/setTrace","params":{"value":"off"}}"#;
    refused(format!("Content-Length: {}\r\n\r\n{body}", body.len() - 20), PARSE_ERROR, "not JSON");
}

#[test]
fn a_batch_is_refused() {
    refused(wire::frame(br#"[{"jsonrpc":"2.0","id":9,"method":"shutdown"}]"#), INVALID_REQUEST, "batches");
}

#[test]
fn json_that_is_no_message_is_refused() {
    for body in ["7", "null", "\"text\"", "{}", r#"{"jsonrpc":"2.0"}"#, r#"{"id":null,"method":"x"}"#] {
        refused(wire::frame(body.as_bytes()), INVALID_REQUEST, "");
    }
}

#[test]
fn an_empty_body_is_refused() {
    refused("Content-Length: 0\r\n\r\n", PARSE_ERROR, "not JSON");
}

#[test]
fn invalid_utf8_is_refused() {
    refused(wire::frame(b"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\xfe\"}"), PARSE_ERROR, "not JSON");
}

#[test]
fn nesting_without_end_is_refused() {
    refused(wire::frame("[".repeat(1_000_000).as_bytes()), PARSE_ERROR, "not JSON");
}

#[test]
fn a_message_without_a_length_is_refused() {
    refused("Content-Type: application/vscode-jsonrpc\r\n\r\n{}", INVALID_REQUEST, "Content-Length");
}

#[test]
fn a_length_that_is_no_number_is_refused() {
    for length in ["-1", "many", "0x10", ""] {
        refused(format!("Content-Length: {length}\r\n\r\n{{}}"), INVALID_REQUEST, "number of bytes");
    }
}

#[test]
fn a_message_over_the_limit_is_refused_by_name_and_skipped() {
    let text = "x".repeat(1 << 20);
    let mut message = format!("Content-Length: {}\r\n\r\n{{\"text\":\"", (129 << 20) + 11).into_bytes();
    for _ in 0..129 {
        message.extend_from_slice(text.as_bytes());
    }
    message.extend_from_slice(b"\"}");
    refused(message, INVALID_REQUEST, "128 MiB");
}

#[test]
fn a_length_beyond_all_numbers_is_refused() {
    refused("Content-Length: 18446744073709551615\r\n\r\n{}", INVALID_REQUEST, "128 MiB");
    refused("Content-Length: 99999999999999999999999\r\n\r\n{}", INVALID_REQUEST, "number of bytes");
}

#[test]
fn a_thousand_bad_frames_in_a_row_are_a_thousand_refusals() {
    let mut editor = ready();
    for _ in 0..1_000 {
        editor.raw(wire::frame(b"{nonsense"));
    }
    for _ in 0..1_000 {
        assert_eq!(editor.refusal().0, PARSE_ERROR);
    }
    still_serves(&mut editor);
    editor.quit();
}

#[test]
fn odd_headers_are_taken() {
    let mut editor = ready();
    for (id, head) in [
        "content-length: {}\r\n\r\n",
        "CONTENT-LENGTH:{}\r\n\r\n",
        "Content-Type: application/vscode-jsonrpc\r\nContent-Length: {}\r\n\r\n",
        "Content-Length: {}\r\nContent-Type: application/vscode-jsonrpc; charset=utf8\r\nX-Extra: 1\r\n\r\n",
        "\r\n\r\nContent-Length: {}\r\n\r\n",
        "Content-Length: {}\n\n",
    ]
    .iter()
    .enumerate()
    {
        let id = format!("odd-{id}");
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": "no/such/method" }).to_string();
        editor.raw(head.replace("{}", &body.len().to_string()) + &body);
        let answer = editor.answer_to_text_id(&id);
        assert_eq!(answer["error"]["code"], -32601, "{head:?}");
    }
    editor.quit();
}

#[test]
fn a_message_may_arrive_byte_by_byte() {
    let mut editor = ready();
    let body = json!({ "jsonrpc": "2.0", "id": "slow", "method": "no/such/method" }).to_string();
    for byte in wire::frame(body.as_bytes()) {
        editor.raw([byte]);
    }
    assert_eq!(editor.answer_to_text_id("slow")["error"]["code"], -32601);
    editor.quit();
}
