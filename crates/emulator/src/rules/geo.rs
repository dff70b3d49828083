//! Offsets of a geo-replicated namespace: text that is no number.
//!
//! The service does not say what its text means. Here it is the epoch of replication and the
//! offset within it; what matters to a client is that it can neither compute with it nor use an
//! offset of the other form.

/// Replicas that a geo-replicated namespace says to have.
pub(crate) const FACTOR: i32 = 2;
/// The epoch of replication. It would rise with each fail-over; there is none here.
pub(crate) const EPOCH: i8 = 0;

const SEPARATOR: char = ':';

/// The text of an offset.
pub(crate) fn text(offset: i64) -> String {
    match offset < 0 {
        // Nothing was ever written; both forms say so alike.
        true => offset.to_string(),
        false => format!("{EPOCH}{SEPARATOR}{offset}"),
    }
}

/// The text of an offset that is written as a number.
pub(crate) fn rewrite(number: String) -> String {
    number.parse().map_or(number, text)
}

/// The offset behind a text, if it has the form of this namespace.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (epoch, offset) = text.split_once(SEPARATOR)?;
    let (epoch, offset): (i8, i64) = (epoch.parse().ok()?, offset.parse().ok()?);
    (epoch == EPOCH && offset >= 0 && self::text(offset) == text).then_some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_text_is_no_number_and_comes_back(offset in 0..i64::MAX) {
            let text = text(offset);
            prop_assert!(text.parse::<i64>().is_err() && text.parse::<f64>().is_err());
            prop_assert_eq!(parse(&text), Some(offset));
        }

        #[test]
        fn other_texts_are_not_taken(text in "[-+:0-9@a-z]{0,24}") {
            if let Some(offset) = parse(&text) {
                prop_assert_eq!(super::text(offset), text);
            }
        }
    }

    #[test]
    fn a_number_is_not_taken() {
        for text in ["5", "-1", "", ":", "0:", ":5", "1:5", "0:-5", "0:05", "00:5", "0:5:1"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(text(-1), "-1");
        let rewritten = ["-1", "77", "x"].map(|number| rewrite(number.into()));
        assert_eq!(rewritten, ["-1", "0:77", "x"]);
    }
}
