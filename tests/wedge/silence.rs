//! A client that stops reading. The server goes on reading it, keeps what must not be lost and counts the rest.

use serde_json::{Value, json};

use crate::{ready, ready_for_faults};

const VALUES: &str = "file:///w/values.yaml";

#[test]
fn log_lines_are_dropped_and_counted_and_verdicts_are_kept() {
    const LINES: u64 = 100_000;
    let Some(mut editor) = ready_for_faults() else { return };
    let before = editor.memory();
    editor.stop_reading();
    let flood = editor.execute("ktl.fault.flood", json!({ "lines": LINES }));
    editor.logged("flood is over");
    let grown = editor.memory().saturating_sub(before);
    assert!(grown < 32 << 20, "{} MiB more for a client that does not read", grown >> 20);

    editor.read_again();
    editor.message("verdict in the middle");
    editor.message("verdict at the end");
    assert_eq!(editor.response(flood), Ok(Value::Null));
    let lines: Vec<_> = editor
        .take_all("window/logMessage")
        .iter()
        .map(|line| line["params"]["message"].as_str().unwrap().to_owned())
        .collect();
    let shown = lines.iter().filter(|line| line.starts_with("line ")).count() as u64;
    let left_out: u64 = lines
        .iter()
        .filter_map(|line| line.split_once(" log lines were left out")?.0.parse::<u64>().ok())
        .sum();
    assert!(left_out > 0, "{shown} lines were shown");
    assert_eq!(shown + left_out, LINES);
    editor.quit();
}

#[test]
fn a_flood_does_not_keep_a_hover_waiting() {
    let Some(mut editor) = ready_for_faults() else { return };
    let flood = editor.execute("ktl.fault.flood", json!({ "lines": 50_000 }));
    for _ in 0..20 {
        let hover = editor.hover(VALUES);
        assert_eq!(editor.response(hover), Ok(Value::Null));
    }
    assert_eq!(editor.response(flood), Ok(Value::Null));
    editor.message("verdict in the middle");
    editor.message("verdict at the end");
    editor.quit();
}

#[test]
fn input_is_read_while_output_is_not() {
    let mut editor = ready();
    editor.open(VALUES, "a: 1\n");
    editor.stop_reading();
    // More than both pipes hold, in both directions.
    let hovers: Vec<_> = (0..3_000)
        .map(|round| {
            editor.change(VALUES, round + 2, None, if round % 2 == 0 { "a: b: c\n" } else { "a: 1\n" });
            editor.hover(VALUES)
        })
        .collect();
    editor.change(VALUES, 4_000, None, "a: b: c\n");
    editor.all_taken();
    editor.read_again();
    for hover in hovers {
        assert_eq!(editor.response(hover), Ok(Value::Null));
    }
    editor.diagnostics(VALUES, |list| list.len() == 1);
    editor.quit();
}

#[test]
fn a_client_that_never_reads_again_can_still_leave() {
    let mut editor = ready();
    editor.stop_reading();
    for _ in 0..3_000 {
        editor.hover(VALUES);
    }
    editor.all_taken();
    editor.close_input();
    assert_eq!(editor.exit_code_unread(), 1);
}
