//! Ordinary text stays readable: of 10,000 bytes of logs less than one is hidden.

use std::fmt::Write as _;

use super::*;

/// How much of ordinary text may be hidden.
const BOUND: f64 = 0.0001;

/// What real programs printed: Helm, kubectl, the API server, controllers, applications.
const REAL: &str = include_str!("../../../../fixtures/logs/ordinary.log");

/// Words of which `TEMPTING` are such that a masker may stumble over them.
const WORDS: [&str; 40] = [
    "the",
    "request",
    "was",
    "served",
    "in",
    "cache",
    "miss",
    "for",
    "user",
    "expired",
    "and",
    "will",
    "be",
    "refreshed",
    "mounted",
    "volume",
    "changed",
    "by",
    "policy",
    "waiting",
    "rollout",
    "to",
    "finish",
    "replicas",
    "ready",
    "pulling",
    "image",
    "started",
    "container",
    "readiness",
    "probe",
    "failed",
    "connection",
    "refused",
    "key",
    "token",
    "secret",
    "password",
    "bearer",
    "authentication",
];
const TEMPTING: usize = 6;

/// A generator that gives the same numbers everywhere.
struct Random {
    state: u64,
    /// How many sentences of a hundred have tempting words.
    tempting: u64,
}

impl Random {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[usize::try_from(self.next()).unwrap_or_default() % words.len()]
    }

    fn hex(&mut self, digits: usize) -> String {
        let mut all = String::new();
        while all.len() < digits {
            write!(all, "{:016x}", self.next()).unwrap();
        }
        all.truncate(digits);
        all
    }

    fn uuid(&mut self) -> String {
        [8, 4, 4, 4, 12].map(|digits| self.hex(digits)).join("-")
    }

    fn time(&mut self) -> String {
        let (day, hour, minute) = (self.below(28) + 1, self.below(24), self.below(60));
        format!("2026-11-{day:02}T{hour:02}:{minute:02}:{:02}.{:06}Z", self.below(60), self.below(1_000_000))
    }

    fn pod(&mut self) -> String {
        let name = self.of(&["web", "shop-api", "cart", "redis-master", "ingress-nginx-controller"]);
        format!("{name}-{}-{}", self.hex(10), self.hex(5))
    }

    fn sentence(&mut self) -> String {
        let length = self.below(12) + 4;
        let plain = self.below(100) >= self.tempting;
        let words = if plain { &WORDS[..WORDS.len() - TEMPTING] } else { &WORDS };
        (0..length).map(|_| self.of(words)).collect::<Vec<_>>().join(" ")
    }

    #[allow(clippy::too_many_lines)] // A table of the lines there are.
    fn line(&mut self) -> String {
        let level = self.of(&["info", "warn", "error", "debug"]);
        match self.below(14) {
            0 => format!("{} {} {}", self.time(), level.to_uppercase(), self.sentence()),
            1 => format!(
                "time=\"{}\" level={level} msg=\"{}\" trace_id={} duration={}ms",
                self.time(),
                self.sentence(),
                self.hex(32),
                self.below(900)
            ),
            2 => format!(
                r#"{{"level":"{level}","ts":"{}","logger":"controller","msg":"{}","namespace":"shop","name":"{}","reconcileID":"{}"}}"#,
                self.time(),
                self.sentence(),
                self.pod(),
                self.uuid()
            ),
            3 => format!(
                "10.{}.{}.{} - - [{}] \"GET /api/v1/items/{}?page={}&limit=50 HTTP/1.1\" 200 {} \"-\" \"curl/8.5.0\"",
                self.below(256),
                self.below(256),
                self.below(256),
                self.time(),
                self.uuid(),
                self.below(90),
                self.below(90_000)
            ),
            4 => format!(
                "Pulling image \"registry.example.com/shop/{}@sha256:{}\"",
                self.of(&["web", "cart"]),
                self.hex(64)
            ),
            5 => format!("pod/{} condition met", self.pod()),
            6 => format!(
                "I1122 {:02}:{:02}:{:02}.{:06}       1 controller.go:{}] \"{}\" pod=\"shop/{}\" PodUID=\"{}\"",
                self.below(24),
                self.below(60),
                self.below(60),
                self.below(1_000_000),
                self.below(900),
                self.sentence(),
                self.pod(),
                self.uuid()
            ),
            7 => format!(
                "commit {} Author: {}@example.com {}",
                self.hex(40),
                self.of(&["ana", "bo"]),
                self.sentence()
            ),
            8 => format!(
                "Step {}/12 : COPY --from=build /app/target/release/{} /usr/local/bin/",
                self.below(12) + 1,
                self.of(&["web", "cart"])
            ),
            9 => format!(
                "kubectl get pods -n shop -l app={} -o wide --field-selector status.phase=Running",
                self.of(&["web", "cart"])
            ),
            10 => {
                format!("#{} sha256:{} {:.2}MB / 12.00MB {:.1}s done", self.below(30), self.hex(64), 3.5, 0.4)
            }
            11 => format!(
                "\tat com.example.shop.{}.handle({}.java:{})",
                self.of(&["Cart", "TokenFilter", "SecretStore"]),
                self.of(&["Cart", "TokenFilter"]),
                self.below(400)
            ),
            12 => format!(
                "{} etag=W/\"{}\" content-length: {} x-request-id: {}",
                self.time(),
                self.hex(8),
                self.below(90_000),
                self.uuid()
            ),
            _ => format!(
                "  {}: {}",
                self.of(&["replicas", "image", "checksum/config", "host", "tokenTTL", "secretName"]),
                self.hex(12)
            ),
        }
    }
}

/// Lines as programs print them, the same for the same seed; of a hundred sentences `tempting` speak of secrets.
pub(super) fn lines(seed: u64, tempting: u64) -> impl Iterator<Item = String> {
    let mut random = Random { state: seed, tempting };
    std::iter::repeat_with(move || random.line())
}

/// How many bytes of these lines are hidden, and how many there are.
fn hidden(masker: &Masker, lines: impl Iterator<Item = String>) -> (usize, usize, Vec<String>) {
    let masker = masker.speaking();
    let (mut gone, mut all, mut touched) = (0, 0, Vec::new());
    for mut line in lines {
        all += line.len();
        let before = line.clone();
        let secrets = masker.hide_next("log", &mut line, Border::Line);
        if !secrets.is_empty() {
            gone += secrets.iter().map(String::len).sum::<usize>();
            touched.push(before);
        }
    }
    (gone, all, touched)
}

#[track_caller]
fn assert_readable(masker: &Masker, lines: impl Iterator<Item = String>) {
    let (gone, all, touched) = hidden(masker, lines);
    #[allow(clippy::cast_precision_loss)] // Some megabytes.
    let share = gone as f64 / all as f64;
    println!("{gone} of {all} bytes of ordinary text were hidden");
    assert!(
        share < BOUND,
        "{gone} of {all} bytes are hidden, in lines like\n{}",
        touched[..touched.len().min(8)].join("\n")
    );
}

#[test]
fn what_programs_print_stays_readable() {
    let known = super::speed::secrets();
    let masker = Masker::new(known.into_iter().chain(["changeme".to_owned(), "postgres".to_owned()]));
    assert_readable(&masker, lines(1, 100).take(40_000));
    assert_readable(&Masker::new([]), REAL.lines().map(str::to_owned));
}

#[test]
fn a_whole_log_in_one_text_stays_readable() {
    let text: String = lines(2, 100).take(5_000).collect::<Vec<_>>().join("\n");
    for text in [text.as_str(), REAL] {
        let masked = Masker::new([]).mask(text.to_owned()).into_inner();
        let other: Vec<_> =
            text.lines().zip(masked.lines()).filter(|(before, after)| before != after).collect();
        assert!(other.is_empty(), "{:#?}", &other[..other.len().min(5)]);
    }
}
