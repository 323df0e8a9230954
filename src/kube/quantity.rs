//! Amounts as Kubernetes writes them: `250m`, `1.5Gi`, `1e3`, `3h12m`.

/// A quantity (`apimachinery/pkg/api/resource`) in thousandths, rounded up.
fn thousandths(text: &str) -> Option<i64> {
    let text = text.trim();
    let end = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let scale: f64 = match suffix {
        "n" => 1e-6,
        "u" => 1e-3,
        "m" => 1.0,
        "" => 1e3,
        "k" => 1e6,
        "M" => 1e9,
        "G" => 1e12,
        "T" => 1e15,
        "P" => 1e18,
        "E" => 1e21,
        "Ki" => 1024.0 * 1e3,
        "Mi" => 1_048_576.0 * 1e3,
        "Gi" => 1_073_741_824.0 * 1e3,
        "Ti" => 1_099_511_627_776.0 * 1e3,
        "Pi" => 1_125_899_906_842_624.0 * 1e3,
        "Ei" => 1_152_921_504_606_846_976.0 * 1e3,
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            10f64.powi(exponent) * 1e3
        }
    };
    let value = (number.parse::<f64>().ok()? * scale).ceil();
    #[allow(clippy::cast_possible_truncation, reason = "the cast saturates, which is what is wanted")]
    value.is_finite().then_some(value as i64)
}

/// CPU in millicores, rounded up.
pub(super) fn millicores(text: &str) -> Option<i64> {
    thousandths(text)
}

/// CPU in nanocores: what the metrics API gives, exactly.
pub(super) fn nanocores(text: &str) -> Option<i64> {
    let whole = |digits: &str, scale: i64| digits.parse::<i64>().ok()?.checked_mul(scale);
    match text.trim().split_at_checked(text.trim().len().saturating_sub(1))? {
        (digits, "n") => whole(digits, 1),
        (digits, "u") => whole(digits, 1_000),
        _ => thousandths(text)?.checked_mul(1_000_000),
    }
}

/// Memory or storage in bytes.
pub(super) fn bytes(text: &str) -> Option<i64> {
    let text = text.trim();
    // Whole numbers go without a detour through floating point.
    if let Ok(whole) = text.parse() {
        return Some(whole);
    }
    thousandths(text).map(|t| t / 1000)
}

/// Seconds of `3h12m`, `5d`, `1y20d`, `45s`.
pub(super) fn duration(text: &str) -> Option<i64> {
    let mut total = 0i64;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0)?;
        let number: i64 = rest[..end].parse().ok()?;
        let unit = rest[end..].chars().next()?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'y' => 31_536_000,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(seconds)?)?;
        rest = &rest[end + unit.len_utf8()..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        let cpu =
            [("250m", 250), ("1", 1000), ("1.5", 1500), ("100n", 1), ("2k", 2_000_000), ("1e3", 1_000_000)];
        for (text, expected) in cpu {
            assert_eq!(millicores(text), Some(expected), "{text}");
        }
        let nano = [
            ("61469244n", 61_469_244),
            ("62u", 62_000),
            ("250m", 250_000_000),
            ("0", 0),
            ("2", 2_000_000_000),
        ];
        for (text, expected) in nano {
            assert_eq!(nanocores(text), Some(expected), "{text}");
        }
        assert_eq!((nanocores(""), nanocores("n"), nanocores("xm")), (None, None, None));
        let memory = [
            ("128974848", 128_974_848),
            ("129e6", 129_000_000),
            ("123Mi", 128_974_848),
            ("1.5Gi", 1_610_612_736),
            ("8Gi", 8 << 30),
        ];
        for (text, expected) in memory {
            assert_eq!(bytes(text), Some(expected), "{text}");
        }
        for text in ["", "x", "1x", "--", "1e", "Mi"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn durations() {
        let cases = [("45s", 45), ("3h12m", 11_520), ("5d", 432_000), ("1y20d", 33_264_000), ("0s", 0)];
        for (text, expected) in cases {
            assert_eq!(duration(text), Some(expected), "{text}");
        }
        for text in ["", "5", "h", "5x", "<invalid>"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
