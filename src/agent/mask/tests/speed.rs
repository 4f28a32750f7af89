//! Masking must not be what limits publishing. Run alone, optimized:
//! `cargo test --release -p ktl-agent --lib mask::tests::speed -- --ignored --nocapture`

use super::*;

/// How many bytes of a log must at least be masked in a second of one processor: 50,000 frames of 220 bytes, which a
/// disk takes in a second, are 11 million.
const AT_LEAST: f64 = 100e6;

/// Passwords as generators make them.
pub(super) fn secrets() -> Vec<String> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut state: u64 = 4711;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(LETTERS[usize::try_from(state >> 33).unwrap() % LETTERS.len()])
    };
    (0..200).map(|_| (0..20).map(|_| letter()).collect()).collect()
}

/// The seconds that this thread ran: other work of the machine takes no part.
fn processor_time() -> f64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    times.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// Lines of a log, some in one frame, so that frames are as long as those of `cargo xtask bench publish`.
fn frames(length: usize) -> Vec<String> {
    let mut lines = super::ordinary::lines(7, 10);
    let mut frame = || {
        let mut frame = String::new();
        while frame.len() < length {
            frame.push_str(&lines.next().unwrap());
            frame.push(' ');
        }
        frame
    };
    std::iter::repeat_with(&mut frame).take(24_000_000 / length).collect()
}

#[test]
#[ignore = "a measurement: run it alone, in a release build"]
fn ordinary_text_is_masked_faster_than_frames_can_be_stored() {
    for length in [100, 220, 4096] {
        let frames = frames(length);
        let bytes: usize = frames.iter().map(String::len).sum();
        let masker = Masker::new(secrets()).speaking();
        let mut best: f64 = 0.0;
        for _ in 0..5 {
            let mut copies = frames.clone();
            let began = processor_time();
            for frame in &mut copies {
                masker.hide_next("source", frame, Border::Line);
            }
            #[allow(clippy::cast_precision_loss)] // Some megabytes.
            let speed = bytes as f64 / (processor_time() - began);
            best = best.max(speed);
        }
        println!(
            "{:.0} MB/s: {} frames of {} bytes, 200 known values",
            best / 1e6,
            frames.len(),
            bytes / frames.len()
        );
        assert!(best >= AT_LEAST, "{best:.0} bytes a second");
    }
}
