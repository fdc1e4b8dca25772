//! Times, and the reply to MDTM.

use crate::reply::Reply;
use core::fmt;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_while_m_n};
use nom::character::complete::{char, digit1};
use nom::combinator::{all_consuming, map_opt, opt, verify};
use nom::sequence::preceded;
use nom::{IResult, Parser};

/// A time in UTC, as servers tell it: `YYYYMMDDHHMMSS[.sss]` (RFC 3659 §2.3). Its date exists in the Gregorian
/// calendar.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TimeVal {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    fraction: Option<u32>,
}

impl TimeVal {
    /// Reads `text` as a time, if all of it is one. Digits of a fraction behind the ninth are dropped.
    ///
    /// Some servers print 19 and the years since 1900: fifteen digits that begin with `19100` to `19199` are read so.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        super::whole(text, alt((all_consuming(time_val(year)), all_consuming(time_val(year_of_1900)))))
    }

    /// The year, 0 to 9999.
    #[must_use]
    pub const fn year(self) -> u16 {
        self.year
    }

    /// The month, 1 to 12.
    #[must_use]
    pub const fn month(self) -> u8 {
        self.month
    }

    /// The day of the month, from 1.
    #[must_use]
    pub const fn day(self) -> u8 {
        self.day
    }

    /// The hour, 0 to 23.
    #[must_use]
    pub const fn hour(self) -> u8 {
        self.hour
    }

    /// The minute, 0 to 59.
    #[must_use]
    pub const fn minute(self) -> u8 {
        self.minute
    }

    /// The second, 0 to 60: a leap second is 60.
    #[must_use]
    pub const fn second(self) -> u8 {
        self.second
    }

    /// Nanoseconds within the second, below 1,000,000,000; `None` if the server told whole seconds only.
    #[must_use]
    pub const fn fraction(self) -> Option<u32> {
        self.fraction
    }

    /// Returns the seconds since 1970-01-01T00:00:00 UTC, without leap seconds and fraction. A leap second counts as
    /// the second after it. The Gregorian calendar extends to the year 0.
    #[must_use]
    #[expect(clippy::arithmetic_side_effects, reason = "no field is larger than its documented range")]
    pub fn unix_seconds(self) -> i64 {
        const TO_1970: i64 = 719_528;
        let year = i64::from(self.year);
        let leap_years_before = (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
        let months_before: i64 = (1..self.month).map(|month| i64::from(days_in(self.year, month))).sum();
        let days = 365 * year + leap_years_before + months_before + i64::from(self.day) - 1 - TO_1970;
        let hours = 24 * days + i64::from(self.hour);
        let minutes = 60 * hours + i64::from(self.minute);
        60 * minutes + i64::from(self.second)
    }
}

/// Shows the time in the form that [`TimeVal::parse`] reads.
impl fmt::Display for TimeVal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second, fraction } = self;
        write!(f, "{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")?;
        let Some(nanoseconds) = fraction else { return Ok(()) };
        let digits = alloc::format!("{nanoseconds:09}");
        let digits = digits.trim_end_matches('0');
        write!(f, ".{}", if digits.is_empty() { "0" } else { digits })
    }
}

/// Returns the time that a 213 names, the reply to MDTM (RFC 3659 §3.2).
#[must_use]
pub fn mdtm(reply: &Reply) -> Option<TimeVal> {
    super::lines(reply, 213)?.find_map(|line| TimeVal::parse(line.trim_ascii()))
}

fn time_val(
    year: impl Fn(&[u8]) -> IResult<&[u8], u16, ()>,
) -> impl Fn(&[u8]) -> IResult<&[u8], TimeVal, ()> {
    move |text| {
        let two = |low, high| verify(map_opt(digits(2), narrow), move |n| (low..=high).contains(n));
        let (text, year) = year(text)?;
        let (text, month) = two(1, 12).parse(text)?;
        let (text, day) = two(1, days_in(year, month)).parse(text)?;
        let (text, (hour, minute, second)) = (two(0, 23), two(0, 59), two(0, 60)).parse(text)?;
        let (text, fraction) = opt(preceded(char('.'), digit1)).parse(text)?;
        let fraction = fraction.map(nanoseconds);
        Ok((text, TimeVal { year, month, day, hour, minute, second, fraction }))
    }
}

fn year(text: &[u8]) -> IResult<&[u8], u16, ()> {
    digits(4).parse(text)
}

fn year_of_1900(text: &[u8]) -> IResult<&[u8], u16, ()> {
    let since = verify(digits(3), |since| (100..200).contains(since));
    map_opt(preceded(tag("19"), since), |since| since.checked_add(1900)).parse(text)
}

/// Reads exactly `count` digits, at most four, as a number.
fn digits<'a>(count: usize) -> impl Parser<&'a [u8], Output = u16, Error = ()> {
    let digits = take_while_m_n(count, count, |byte: u8| byte.is_ascii_digit());
    map_opt(digits, |digits: &[u8]| {
        digits.iter().try_fold(0_u16, |number, digit| {
            number.checked_mul(10)?.checked_add(u16::from(digit.checked_sub(b'0')?))
        })
    })
}

fn narrow(number: u16) -> Option<u8> {
    u8::try_from(number).ok()
}

/// Returns the nanoseconds that the digits behind the point stand for.
fn nanoseconds(digits: &[u8]) -> u32 {
    let places = digits.iter().chain(core::iter::repeat(&b'0')).take(9);
    places.fold(0_u32, |number, digit| {
        number.saturating_mul(10).saturating_add(u32::from(digit.saturating_sub(b'0')))
    })
}

const fn days_in(year: u16, month: u8) -> u8 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meaning::reply;
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn parse(text: &str) -> Option<TimeVal> {
        TimeVal::parse(text.as_bytes())
    }

    #[test]
    fn unix_seconds_match_known_times() {
        for (text, seconds) in [
            ("19700101000000", 0),
            ("19691231235959", -1),
            ("20000229000000", 951_782_400),
            ("20000301000000.999", 951_868_800),
            ("20240615123456", 1_718_454_896),
            ("20380119031408", 1 << 31),
            ("99991231235959", 253_402_300_799),
            ("00000101000000", -62_167_219_200),
            // The leap second at the end of 2016 and the second after it.
            ("20161231235960", 1_483_228_800),
            ("20170101000000", 1_483_228_800),
        ] {
            assert_eq!(parse(text).unwrap().unix_seconds(), seconds, "{text}");
        }
    }

    #[test]
    fn fields_match_the_text() {
        let time = parse("20240615123460.0625").unwrap();
        assert_eq!((time.year(), time.month(), time.day()), (2024, 6, 15));
        assert_eq!((time.hour(), time.minute(), time.second()), (12, 34, 60));
        assert_eq!(time.fraction(), Some(62_500_000));
        assert_eq!(parse("20240615123456.1234567899").unwrap().fraction(), Some(123_456_789));
        assert_eq!(parse("20240615123456.000").unwrap().to_string(), "20240615123456.0");
        assert!(parse("20240615123456") < parse("20240615123456.1"));
        assert!(parse("20240615123456.1") < parse("20240615123457"));
    }

    #[test]
    fn years_since_1900_are_understood() {
        assert_eq!(parse("191040615123456"), parse("20040615123456"));
        assert_eq!(parse("191990615123456"), parse("20990615123456"));
        assert_eq!(parse("19991231000000").unwrap().year(), 1999);
        assert_eq!(parse("190990615123456"), None);
        assert_eq!(parse("201040615123456"), None);
    }

    #[test]
    fn text_that_is_no_time_is_refused() {
        for text in [
            "",
            "2024061512345",
            "202406151234567",
            "20240015123456",
            "20241315123456",
            "20240600123456",
            "20240631123456",
            "20230229123456",
            "19000229123456",
            "20240615243456",
            "20240615126056",
            "20240615123461",
            "20240615123456.",
            "20240615123456.1x",
            "20240615123456Z",
            " 20240615123456",
            "+2024061512345",
            "2024-06-15 12:34:56",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn replies_of_real_servers() {
        let time = parse("20240615123456");
        assert_eq!(mdtm(&reply(213, &b"213 20240615123456\r\n"[..])), time);
        assert_eq!(mdtm(&reply(213, &b"213 20240615123456 \r\n"[..])), time);
        assert_eq!(mdtm(&reply(213, &b"213 20240615123456.000\r\n"[..])).unwrap().fraction(), Some(0));
        assert_eq!(mdtm(&reply(213, &b"213 1234\r\n"[..])), None);
        assert_eq!(mdtm(&reply(213, &b"213\r\n"[..])), None);
        assert_eq!(mdtm(&reply(253, &b"253 20240615123456\r\n"[..])), None);
    }

    proptest! {
        #[test]
        fn printed_values_are_read_back(
            (year, month) in (0_u16..10_000, 1_u8..13),
            (day, hour, minute, second) in (1_u8..29, 0_u8..24, 0_u8..60, 0_u8..61),
            fraction in proptest::option::of(0_u32..1_000_000_000),
        ) {
            let time = TimeVal { year, month, day, hour, minute, second, fraction };
            prop_assert_eq!(TimeVal::parse(time.to_string().as_bytes()), Some(time));
        }

        #[test]
        fn a_day_follows_a_day(year in 0_u16..9999, month in 1_u8..13, day in 1_u8..32) {
            let at = |year, month, day| parse(&format!("{year:04}{month:02}{day:02}000000"));
            prop_assume!(at(year, month, day).is_some());
            let next = match (month, day) {
                (12, 31) => at(year.saturating_add(1), 1, 1),
                _ => at(year, month, day.saturating_add(1)).or_else(|| at(year, month.saturating_add(1), 1)),
            };
            let seconds = at(year, month, day).unwrap().unix_seconds();
            prop_assert_eq!(next.unwrap().unix_seconds(), seconds.saturating_add(86_400));
        }

        #[test]
        fn any_text_has_a_meaning_or_none(text in "[0-9]{10,16}[0-9.]{0,12}", bytes: Vec<u8>) {
            let _ = TimeVal::parse(text.as_bytes()).map(TimeVal::unix_seconds);
            let _ = mdtm(&reply(213, [b"213 ", &bytes[..]].concat()));
        }
    }
}
