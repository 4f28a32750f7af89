//! What holds for every text.

use proptest::prelude::*;

use super::*;

const SECRET: &str = "canary-7f3a9c21e4";

/// Pieces that texts with structure are made of, in any order.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("password: ".to_owned()),
        Just("kind: Secret\n".to_owned()),
        Just("data:\n  ".to_owned()),
        Just("{\"kind\":\"Secret\",\"data\":{\"a\":\"".to_owned()),
        Just("\"}}".to_owned()),
        Just("--set a.token=".to_owned()),
        Just("https://me:".to_owned()),
        Just("@host/ ".to_owned()),
        Just("\\\"".to_owned()),
        Just("\\n".to_owned()),
        Just("\n".to_owned()),
        Just("\"".to_owned()),
        Just("'".to_owned()),
        Just("\u{1b}[31m".to_owned()),
        Just("«secret:".to_owned()),
        Just("«secret:1f0c33ab»".to_owned()),
        Just("-----BEGIN PRIVATE KEY-----".to_owned()),
        Just("aHVudGVyMg==".to_owned()),
        Just(SECRET.to_owned()),
        "[a-z0-9 =:,.{}-]{0,12}",
        "\\PC{0,6}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Each of these took minutes, or would have, when something was read again for each of its parts.
#[test]
fn a_text_made_to_be_slow_is_not() {
    let masker = Masker::new([SECRET.to_owned()]);
    for part in [
        "token=",
        "token: x ",
        "kind: Secret\n",
        "kind: a\nkind: Secret\n",
        "kind: Secret data:map[",
        "kind: Secret data: ",
        "{\"data\":",
        "{\"data\":{\"a\":\"aHVudGVyMg==\",\"b\":",
        "{\"a\":\"{",
        "\\\"password\\\":",
        "https://me:x",
        "--set password=x ",
        "«secret:1f0c33ab» password: ",
        "- name: password\n  value: x\n",
        "canary-",
    ] {
        let text = part.repeat(200_000 / part.len());
        let began = std::time::Instant::now();
        masker.mask(text);
        let took = began.elapsed();
        assert!(took < std::time::Duration::from_secs(10), "{part:?} took {took:?}");
    }
}

proptest! {
    #[test]
    fn masking_twice_is_masking_once(text in text()) {
        let masker = Masker::new([SECRET.to_owned()]);
        let once = masker.mask(text).into_inner();
        let twice = masker.mask(once.clone()).into_inner();
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn a_known_value_is_in_no_masked_text(text in text()) {
        let masked = Masker::new([SECRET.to_owned()]).mask(text).into_inner();
        prop_assert!(!masked.contains(SECRET), "{}", masked);
    }

    #[test]
    fn a_known_value_is_in_no_split_text(text in text(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let masker = Masker::new([SECRET.to_owned()]).speaking();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| text.floor_char_boundary(cut.index(text.len() + 1))).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let mut shown = String::new();
        for cut in cuts.windows(2) {
            let mut piece = text[cut[0]..cut[1]].to_owned();
            masker.hide_next("s", &mut piece, Border::Cut);
            shown.push_str(&piece);
        }
        // Five bytes may be seen of its beginning, so six in a row of the rest are too much.
        prop_assert!(!shown.contains("canary") && !shown.contains("7f3a9c"), "{}", shown);
    }

    #[test]
    fn a_copy_has_the_positions_of_its_original(text in text()) {
        let copy = Masker::new([SECRET.to_owned()]).mask_source(&text, &[]).into_inner();
        prop_assert_eq!(copy.len(), text.len());
        prop_assert_eq!(copy.encode_utf16().count(), text.encode_utf16().count());
        let breaks = |text: &str| text.match_indices('\n').map(|(at, _)| at).collect::<Vec<_>>();
        prop_assert_eq!(breaks(&copy), breaks(&text));
    }

    #[test]
    fn words_and_numbers_are_not_touched(text in "([a-z]{1,9} |[0-9]{1,6} |[A-Z][a-z]{2,7}, |/[a-z]{1,5}/[a-z]{1,5} ){0,20}") {
        prop_assert_eq!(Masker::new([SECRET.to_owned()]).mask(text.clone()).into_inner(), text);
    }
}
