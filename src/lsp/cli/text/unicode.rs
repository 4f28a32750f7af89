//! How far a column is from the left edge of a terminal.

/// The width of the first `units` UTF-16 units of a line. A tab is one column here, as the excerpt prints it.
pub(super) fn width(line: &str, units: u32) -> usize {
    let mut left = units as usize;
    line.chars()
        .take_while(|character| {
            let fits = left >= character.len_utf16();
            left = left.saturating_sub(character.len_utf16());
            fits
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_of_units_is_one_column() {
        assert_eq!(width("a𝄞b", 3), 2);
        assert_eq!(width("ab", 9), 2);
    }
}
