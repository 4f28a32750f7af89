//! Counts tests by what the runners print.
//!
//! Pure. Knows cargo's `test result:` lines, vitest's `Tests` line, the counts of node's runner, and the lines `skipped: WHY` that tests of this
//! project print. A test that skipped itself has passed for its runner; here it has not.

use std::fmt;

/// What came of a part, or of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// Why each was skipped.
    pub(crate) skipped: Vec<String>,
}

impl Tally {
    /// One check that passed or failed.
    pub(crate) fn one(passed: bool) -> Self {
        Self { passed: passed.into(), failed: (!passed).into(), skipped: Vec::new() }
    }

    /// One that could not be tried.
    pub(crate) fn skipped(why: String) -> Self {
        Self { skipped: vec![why], ..Self::default() }
    }

    /// What a runner's output tells. A runner that failed without counting a failure, because it did not even start
    /// or died, counts as one.
    pub(crate) fn read(output: &str, ended_well: bool) -> Self {
        let mut tally = Self::default();
        for line in output.lines() {
            if let Some((passed, failed)) = cargo(line).or_else(|| vitest(line)).or_else(|| node(line)) {
                tally.passed += passed;
                tally.failed += failed;
            } else if let Some(why) = line.trim_start().strip_prefix("skipped: ") {
                tally.skipped.push(why.trim_end().to_owned());
            }
        }
        tally.passed = tally.passed.saturating_sub(tally.skipped.len());
        if !ended_well && tally.failed == 0 {
            tally.failed = 1;
        }
        // A check without tests of its own, a linter say, is one.
        if ended_well && tally == Self::default() {
            tally.passed = 1;
        }
        tally
    }

    /// This and another.
    pub(crate) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped.extend(other.skipped.iter().cloned());
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped.len())
    }
}

/// `test result: ok. 28 passed; 0 failed; 1 ignored; ...`
fn cargo(line: &str) -> Option<(usize, usize)> {
    let (_, counts) = line.trim_start().strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = counts.split("; ");
    Some((count(counts.next()?, "passed")?, count(counts.next()?, "failed")?))
}

/// `Tests  1 failed | 27 passed | 2 skipped (30)`
fn vitest(line: &str) -> Option<(usize, usize)> {
    let counts = line.trim_start().strip_prefix("Tests  ")?.split_once('(')?.0;
    let of = |word| counts.split(" | ").find_map(|part| count(part.trim(), word)).unwrap_or(0);
    Some((of("passed"), of("failed")))
}

/// `ℹ pass 5`, `ℹ fail 1` of node's own runner, or with `#` when it prints TAP.
fn node(line: &str) -> Option<(usize, usize)> {
    let counted = line.strip_prefix("ℹ ").or_else(|| line.strip_prefix("# "))?;
    match counted.split_once(' ')? {
        ("pass", number) => Some((number.parse().ok()?, 0)),
        ("fail", number) => Some((0, number.parse().ok()?)),
        _ => None,
    }
}

fn count(text: &str, word: &str) -> Option<usize> {
    text.strip_suffix(word)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_lines_of_several_binaries_add_up() {
        let output = "
test a ... ok
test result: ok. 28 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.07s
test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s
";
        let tally = Tally::read(output, false);
        assert_eq!(tally.to_string(), "31 passed, 2 failed, 0 skipped");
    }

    #[test]
    fn a_test_that_skips_itself_has_not_passed() {
        let output = "skipped: KTL_TEST_HELM is not set\ntest result: ok. 5 passed; 0 failed; 0 ignored\n";
        let tally = Tally::read(output, true);
        assert_eq!(tally.to_string(), "4 passed, 0 failed, 1 skipped");
        assert_eq!(tally.skipped, ["KTL_TEST_HELM is not set"]);
    }

    #[test]
    fn vitest_is_counted_with_and_without_failures() {
        assert_eq!(Tally::read("      Tests  63 passed (63)\n", true).passed, 63);
        let tally = Tally::read("      Tests  1 failed | 27 passed | 2 skipped (30)\n", false);
        assert_eq!((tally.passed, tally.failed), (27, 1));
    }

    #[test]
    fn node_is_counted_in_both_of_its_formats() {
        assert_eq!(
            Tally::read("ℹ tests 6\nℹ pass 5\nℹ fail 1\n", false).to_string(),
            "5 passed, 1 failed, 0 skipped"
        );
        assert_eq!(Tally::read("# pass 3\n# fail 0\n", true).passed, 3);
    }

    #[test]
    fn a_runner_that_dies_has_failed_whatever_it_counted() {
        let output = "test result: ok. 5 passed; 0 failed; 0 ignored\nerror: could not compile `ktl-agent`\n";
        assert_eq!(Tally::read(output, false).failed, 1);
        assert_eq!(Tally::read("", false).failed, 1);
    }

    #[test]
    fn a_linter_that_says_nothing_has_passed_once() {
        assert_eq!(Tally::read("", true), Tally::one(true));
    }
}
