//! Finds where one of many beginnings stands in a text.
//!
//! All beginnings have the same length, so a window over the text can be moved on by what its last three bytes say:
//! mostly by four bytes at a time, whatever the number of beginnings (the idea is that of Wu and Manber). Two hundred
//! secrets have more than a thousand forms, and an automaton that looks at every byte was the slowest part of masking
//! by far; in the tests it says whether this finds the same.

/// The length of a beginning.
pub(super) const HEAD: usize = 6;
/// How many bytes say how far the window may be moved.
const BLOCK: usize = 3;
const BITS: u32 = 15;

/// A set of beginnings.
#[derive(Default)]
pub(super) struct Heads {
    /// For each block of bytes how far the window that ends with it may be moved. Empty for no beginnings.
    shifts: Vec<u8>,
    /// Sorted.
    all: Vec<[u8; HEAD]>,
    /// Which two bytes a beginning begins with: one bit for each two there are.
    pairs: Vec<u64>,
    /// The same of beginnings of three bytes and more, by a part of what they hash to: few texts come past it that
    /// begin no beginning.
    longer: Vec<u64>,
}

impl Heads {
    /// A set of beginnings, which are sorted and different.
    pub(super) fn new(heads: Vec<[u8; HEAD]>) -> Self {
        if heads.is_empty() {
            return Self::default();
        }
        let farthest = u8::try_from(HEAD - BLOCK + 1).unwrap_or(1);
        let mut shifts = vec![farthest; 1 << BITS];
        for head in &heads {
            for (block, shift) in head.windows(BLOCK).zip((0..farthest).rev()) {
                let known = &mut shifts[place(block)];
                *known = shift.min(*known);
            }
        }
        let (mut pairs, mut longer) = (vec![0; 1 << 10], vec![0; 1 << 10]);
        for head in &heads {
            set(&mut pairs, u16::from_be_bytes([head[0], head[1]]));
            (3..=HEAD).for_each(|length| set(&mut longer, part(&head[..length])));
        }
        Self { shifts, all: heads, pairs, longer }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Each place in `text` where a beginning stands, in order, with the number of the beginning.
    pub(super) fn find<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (usize, usize)> + 'a {
        let mut at = if self.is_empty() { text.len() } else { 0 };
        std::iter::from_fn(move || {
            while let Some(window) = text.get(at..).and_then(<[u8]>::first_chunk::<HEAD>) {
                let shift = self.shifts[place(&window[HEAD - BLOCK..])];
                if shift > 0 {
                    at += usize::from(shift);
                    continue;
                }
                at += 1;
                if is_set(&self.longer, part(window))
                    && let Ok(number) = self.all.binary_search(window)
                {
                    return Some((at - 1, number));
                }
            }
            None
        })
    }
}

impl Heads {
    /// Whether a beginning begins with these bytes, which are fewer than it has.
    pub(super) fn begin_with(&self, bytes: &[u8]) -> bool {
        let may = match bytes {
            [] => false,
            [first] => {
                let of_first = usize::from(*first) << 2;
                return self
                    .pairs
                    .get(of_first..of_first + 4)
                    .is_some_and(|words| words.iter().any(|word| *word != 0));
            }
            [first, second] => return is_set(&self.pairs, u16::from_be_bytes([*first, *second])),
            longer => is_set(&self.longer, part(longer)),
        };
        may && {
            let next = self.all.partition_point(|head| head.as_slice() < bytes);
            self.all.get(next).is_some_and(|head| head.starts_with(bytes))
        }
    }
}

fn set(bits: &mut [u64], bit: u16) {
    bits[usize::from(bit >> 6)] |= 1 << (bit & 63);
}

fn is_set(bits: &[u64], bit: u16) -> bool {
    bits.get(usize::from(bit >> 6)).is_some_and(|word| word >> (bit & 63) & 1 == 1)
}

fn part(bytes: &[u8]) -> u16 {
    let number = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as u16
}

fn place(block: &[u8]) -> usize {
    let number = u32::from(block[0]) << 16 | u32::from(block[1]) << 8 | u32::from(block[2]);
    (number.wrapping_mul(0x9e37_79b1) >> (32 - BITS)) as usize
}

#[cfg(test)]
mod tests {
    use aho_corasick::AhoCorasick;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_knows_what_a_beginning_begins_with() {
        let heads = Heads::new(vec![*b"abcdef", *b"abx\xff\xff\xff", *b"zzzzzz"]);
        for begin in [&b"a"[..], b"ab", b"abcde", b"abx", b"abx\xff", b"z"] {
            assert!(heads.begin_with(begin), "{begin:?}");
        }
        for other in [&b""[..], b"b", b"ac", b"abd", b"zzzzy", b"\xff"] {
            assert!(!heads.begin_with(other), "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn it_finds_what_an_automaton_finds(
            heads in prop::collection::btree_set("[a-c]{6}", 0..40),
            text in "[a-c]{0,200}",
        ) {
            let expected: Vec<(usize, usize)> = AhoCorasick::new(&heads)
                .unwrap()
                .find_overlapping_iter(&text)
                .map(|found| (found.start(), found.pattern().as_usize()))
                .collect();
            let heads = heads.iter().map(|head| head.as_bytes().try_into().unwrap());
            let found: Vec<_> = Heads::new(heads.collect()).find(text.as_bytes()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
