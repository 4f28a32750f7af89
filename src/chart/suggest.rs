//! "Did you mean": the word that was probably meant.

/// The candidate nearest to `word`, if it is near enough to be what was meant: a third of the letters may differ, and
/// upper and lower case, `-` and `_` count for nothing. Of equally near ones the first.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = plain(word);
    let allowed = (word.len() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn plain(word: &str) -> Vec<char> {
    // Longer words are no key of ours, and comparing them would take long.
    word.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).take(64).collect()
}

/// Insertions, deletions, replacements and swaps of neighbors that turn one word into the other.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = last[j] + usize::from(a != b);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_of_the_fingers_are_understood() {
        let keys = ["name", "namespace", "values", "createNamespace"];
        assert_eq!(nearest("nmae", keys), Some("name"));
        assert_eq!(nearest("vlaues", keys), Some("values"));
        assert_eq!(nearest("create-namespace", keys), Some("createNamespace"));
        assert_eq!(nearest("namespaces", keys), Some("namespace"));
    }

    #[test]
    fn another_word_is_not_a_slip() {
        assert_eq!(nearest("replicas", ["name", "values"]), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("", ["a", "values"]), None);
        assert_eq!(nearest(&"x".repeat(1 << 20), ["values"]), None);
    }
}
