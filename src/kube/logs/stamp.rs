//! The time that the kubelet writes before each line (`timestamps=true`), read fast.

/// Nanoseconds since the Unix epoch, and the rest of the line after the stamp and its space.
///
/// The stamp is RFC 3339 with up to nine digits of fraction, in UTC or with an offset
/// (Go's `RFC3339NanoLenient` and `RFC3339NanoFixed`, used by the kubelet's `pkg/kubelet/kuberuntime/logs`).
pub fn split(line: &[u8]) -> Option<(i64, &[u8])> {
    // "2026-11-21T10:15:03Z" is the shortest.
    let b: &[u8; 19] = line.first_chunk()?;
    let digits = |from: usize, count: usize| -> Option<i64> {
        b[from..from + count]
            .iter()
            .try_fold(0i64, |n, d| d.is_ascii_digit().then(|| n * 10 + i64::from(d - b'0')))
    };
    if b[4] != b'-' || b[7] != b'-' || b[10] != b'T' || b[13] != b':' || b[16] != b':' {
        return None;
    }
    let (year, month, day) = (digits(0, 4)?, digits(5, 2)?, digits(8, 2)?);
    let (hour, minute, second) = (digits(11, 2)?, digits(14, 2)?, digits(17, 2)?);
    let mut rest = &line[19..];
    let mut nanos = 0i64;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let len = fraction.iter().take_while(|c| c.is_ascii_digit()).count();
        for i in 0..9 {
            nanos = nanos * 10 + fraction[..len].get(i).map_or(0, |d| i64::from(d - b'0'));
        }
        rest = &fraction[len..];
    }
    let offset = match rest.first()? {
        b'Z' => {
            rest = &rest[1..];
            0
        }
        sign @ (b'+' | b'-') => {
            let z = rest.get(1..6)?;
            let two = |i: usize| {
                (z[i].is_ascii_digit() && z[i + 1].is_ascii_digit())
                    .then(|| i64::from(z[i] - b'0') * 10 + i64::from(z[i + 1] - b'0'))
            };
            let seconds = two(0)? * 3600 + two(3)? * 60;
            rest = &rest[6..];
            if *sign == b'+' { seconds } else { -seconds }
        }
        _ => return None,
    };
    let seconds = days(year, month, day)? * 86_400 + hour * 3600 + minute * 60 + second - offset;
    let text = rest.strip_prefix(b" ").or_else(|| rest.is_empty().then_some(rest))?;
    Some((seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?, text))
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar. Source: Howard Hinnant, "chrono-Compatible Low-Level
/// Date Algorithms", `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// `sinceTime` for a request: whole seconds, because the API server drops the fraction on its way to the kubelet.
pub fn since_time(nanos: i64) -> String {
    jiff::Timestamp::from_second(floor_second(nanos)).map(|t| t.to_string()).unwrap_or_default()
}

/// The whole second that a time falls in.
pub fn floor_second(nanos: i64) -> i64 {
    nanos.div_euclid(1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_jiff() {
        for text in [
            "2026-11-21T10:15:03.123456789Z",
            "2026-11-21T10:15:03Z",
            "2024-02-29T23:59:59.1Z",
            "1970-01-01T00:00:00.000000001Z",
            "2000-03-01T00:00:00+05:30",
            "2026-01-01T00:00:00.000000000-08:00",
            "2100-12-31T12:00:00.123Z",
        ] {
            let expected = text.parse::<jiff::Timestamp>().unwrap().as_nanosecond() as i64;
            let line = format!("{text} a line");
            assert_eq!(split(line.as_bytes()), Some((expected, &b"a line"[..])), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_stamp_is_left_alone() {
        for line in [
            "",
            "hello",
            "2026-11-21 10:15:03 x",
            "2026-11-21T10:15:03",
            "2026-13-21T10:15:03Z x",
            "2026-11-21T10:15:03Zx",
            "2026-11-21T10:15:03+0x:00 a",
        ] {
            assert_eq!(split(line.as_bytes()), None, "{line:?}");
        }
        assert_eq!(split(b"1970-01-01T00:00:01Z"), Some((1_000_000_000, &b""[..])), "an empty line");
        assert_eq!(
            split(b"1970-01-01T00:00:01Z  x"),
            Some((1_000_000_000, &b" x"[..])),
            "one space only is the border"
        );
    }

    #[test]
    fn since_time_is_the_second_below() {
        assert_eq!(since_time(1_500_000_000), "1970-01-01T00:00:01Z");
        assert_eq!(since_time(1_000_000_000), "1970-01-01T00:00:01Z");
    }
}
