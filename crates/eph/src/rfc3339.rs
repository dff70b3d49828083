//! Times as other hosts write them.

use eventhubs_protocol::Timestamp;

/// Reads a time of RFC 3339; digits of a second below milliseconds are dropped. `None` when the
/// text is no such time.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let (millis, zone) = fraction(rest)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !in_range {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(Timestamp::from_millis((seconds - offset(zone)?) * 1_000 + millis))
}

/// Milliseconds, and what follows the fraction.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(text) = text.strip_prefix('.') else { return Some((0, text)) };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return None;
    }
    let (fraction, rest) = text.split_at(digits);
    let millis = format!("{fraction:0<3}");
    Some((millis.get(..3)?.parse().ok()?, rest))
}

/// Seconds that a zone is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" || zone == "z" {
        return Some(0);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let [hours, minutes] = numbers(zone.get(1..)?, ':', [2, 2])?;
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// Numbers of fixed widths between separators.
fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width)?;
        if !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Days from 1970-01-01, in the proleptic Gregorian calendar, years beginning in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_timestamps_show_is_read_back(millis in -62_167_219_200_000_i64..253_402_300_800_000) {
            let time = Timestamp::from_millis(millis);
            prop_assert_eq!(parse(&time.to_string()), Some(time));
        }

        #[test]
        fn no_text_is_a_panic(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }

    #[test]
    fn other_spellings_are_read() {
        let time = Some(Timestamp::from_millis(1_700_000_000_120));
        assert_eq!(parse("2023-11-14T22:13:20.1209999Z"), time);
        assert_eq!(parse("2023-11-14 23:43:20.12+01:30"), time);
        assert_eq!(parse(" 2023-11-14t17:13:20.12-05:00 "), time);
        for wrong in ["", "2023-11-14", "2023-11-14T22:13:20", "2023-13-14T22:13:20Z", "x"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
