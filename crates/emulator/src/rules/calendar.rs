//! Instants as the service writes them in its texts.

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;
/// First and last millisecond that have a year of four digits.
const YEARS: (i64, i64) = (-62_135_596_800_000, 253_402_300_799_999);

/// `2023-05-21 23:58:30Z` for milliseconds since 1970; the nearest year of four digits for times
/// that have none.
pub(crate) fn utc(millis: i64) -> String {
    let millis = millis.clamp(YEARS.0, YEARS.1);
    let (days, rest) = (millis.div_euclid(DAY), millis.rem_euclid(DAY) / 1000);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a day counted from 1970, in the Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last of its year, and in cycles of
/// 400 years, after which the calendar repeats.
fn date(days: i64) -> (i64, i64, i64) {
    const CYCLE: i64 = 146_097;
    let days = days + 719_468;
    let (cycle, day) = (days.div_euclid(CYCLE), days.rem_euclid(CYCLE));
    let year = (day - day / 1460 + day / 36_524 - day / (CYCLE - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * cycle + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_as_the_service_does() {
        for (millis, text) in [
            (0, "1970-01-01 00:00:00Z"),
            (1_684_713_510_000, "2023-05-21 23:58:30Z"),
            (951_782_399_999, "2000-02-28 23:59:59Z"),
            (951_782_400_000, "2000-02-29 00:00:00Z"),
            (951_868_800_000, "2000-03-01 00:00:00Z"),
            (-1, "1969-12-31 23:59:59Z"),
            (i64::MIN, "0001-01-01 00:00:00Z"),
            (i64::MAX, "9999-12-31 23:59:59Z"),
        ] {
            assert_eq!(utc(millis), text);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let (mut year, mut month, mut day) = (1, 1, 1);
        for days in YEARS.0 / DAY..=YEARS.1 / DAY {
            assert_eq!(date(days), (year, month, day), "day {days}");
            let last = match month {
                2 => 28 + i64::from(leap(year)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (year, month, day) = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (_, day) if day == last => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
        assert_eq!((year, month, day), (10_000, 1, 1));
    }
}
