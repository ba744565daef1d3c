//! Sizes, durations and digests as the contract writes them.

use std::time::Duration;

/// `"96MiB"`, `"2GB"`, `"512"`: bytes. One number without sign or fraction, one unit.
pub(crate) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// `"5s"`, `"10m"`, `"2h"`, `"7d"`; at most 100 years.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let seconds = number.checked_mul(factor).filter(|seconds| *seconds <= 100 * 366 * 86_400)?;
    Some(Duration::from_secs(seconds))
}

/// 64 hexadecimal digits, with or without `sha256:` before them.
pub(crate) fn sha256(text: &str) -> Option<[u8; 32]> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text).as_bytes();
    let (pairs, rest) = hex.as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != 32 {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
        *byte = (nibble(*high)? << 4) | nibble(*low)?;
    }
    Some(digest)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    // One spelling per number: no leading zeros.
    if digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    Some((digits.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_exact() {
        assert_eq!(size("96MiB"), Some(96 * 1024 * 1024));
        assert_eq!(size("2GB"), Some(2_000_000_000));
        assert_eq!(size("7"), Some(7));
        for bad in ["", "MiB", "-1", "1.5GB", "2gb", "2 GB", "99999999999TiB", "+1", "01", "1e3"] {
            assert_eq!(size(bad), None, "{bad}");
        }
        assert_eq!(duration("7d"), Some(Duration::from_secs(7 * 86_400)));
        for bad in ["", "5", "s", "5 s", "5ms", "1.5h", "-5s", "999999999999d", "5S"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
        assert!(sha256(&"aB".repeat(32)).is_some());
        assert!(sha256(&format!("sha256:{}", "0".repeat(64))).is_some());
        for bad in ["", "00", &"g".repeat(64), &"0".repeat(63), &"0".repeat(65), &"é".repeat(32)] {
            assert_eq!(sha256(bad), None, "{bad}");
        }
    }
}
