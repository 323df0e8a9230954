//! Amounts as Kubernetes writes them: `250m`, `1`, `128Mi`.

/// Bytes of a memory quantity; 0 of what is none.
pub(super) fn bytes(text: &str) -> i64 {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let Ok(number) = digits.parse::<f64>() else { return 0 };
    let unit = match &text[digits.len()..] {
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "m" => 1e-3,
        _ => 1.0,
    };
    (number * unit) as i64
}

/// Millicores of a CPU quantity; 0 of what is none.
pub(super) fn millis(text: &str) -> i64 {
    match text.strip_suffix('m') {
        Some(m) => m.parse().unwrap_or(0),
        None => text.parse::<f64>().map_or(0, |cores| (cores * 1000.0) as i64),
    }
}

/// Millicores as a quantity.
pub(super) fn show_millis(millis: i64) -> String {
    if millis % 1000 == 0 { (millis / 1000).to_string() } else { format!("{millis}m") }
}

/// Bytes as a quantity in the largest binary unit that divides them.
pub(super) fn show_bytes(bytes: i64) -> String {
    for (unit, name) in [(1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")] {
        if bytes > 0 && bytes % unit == 0 {
            return format!("{}{name}", bytes / unit);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written() {
        assert_eq!((bytes("128Mi"), bytes("1G"), bytes("x")), (134_217_728, 1_000_000_000, 0));
        assert_eq!((millis("250m"), millis("1.5"), millis("")), (250, 1500, 0));
        assert_eq!((show_millis(1500), show_millis(2000)), ("1500m".into(), "2".into()));
        assert_eq!((show_bytes(134_217_728), show_bytes(5)), ("128Mi".into(), "5".into()));
    }
}
