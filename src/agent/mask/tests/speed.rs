//! Masking must not be what limits publishing. Run alone, optimized:
//! `cargo test --release -p ktl-agent --lib mask::tests::speed -- --ignored --nocapture`

use super::*;

/// How many bytes of a log must at least be masked in a second of one processor.
const AT_LEAST: f64 = 200e6;

pub(super) fn secrets() -> Vec<String> {
    (0..200_u64)
        .map(|number| {
            let digest = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            format!("{digest:016x}-{}", digest.rotate_left(17) % 1_000_003)
        })
        .collect()
}

/// The seconds that this thread ran: other work of the machine takes no part.
fn processor_time() -> f64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    times.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

#[test]
#[ignore = "a measurement: run it alone, in a release build"]
fn ordinary_lines_are_masked_at_200_megabytes_a_second() {
    let lines: Vec<String> = super::ordinary::lines(7).take(200_000).collect();
    let bytes: usize = lines.iter().map(String::len).sum();
    let masker = Masker::new(secrets()).speaking();
    let mut best: f64 = 0.0;
    for _ in 0..5 {
        let mut copies = lines.clone();
        let began = processor_time();
        for line in &mut copies {
            masker.hide_next("source", line, Border::Line);
        }
        #[allow(clippy::cast_precision_loss)] // Some hundred megabytes.
        let speed = bytes as f64 / (processor_time() - began);
        best = best.max(speed);
    }
    println!(
        "{:.0} MB/s: {} lines of {} bytes, 200 known values",
        best / 1e6,
        lines.len(),
        bytes / lines.len()
    );
    assert!(best >= AT_LEAST, "{best:.0} bytes a second");
}
