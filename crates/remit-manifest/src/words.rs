//! The nearest known word, for "did you mean".

/// The word of `known` that `typed` most likely means, if any is near: at most a third of its
/// letters differ (Damerau–Levenshtein without repeated edits, case ignored).
pub(crate) fn nearest<'k>(
    typed: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    // Longer texts are no typing mistakes, and the distance is quadratic.
    if typed.len() > 64 {
        return None;
    }
    let typed = typed.to_lowercase();
    known
        .into_iter()
        .filter_map(|word| {
            let away = distance(&typed, &word.to_lowercase());
            let limit = word.chars().count().max(typed.chars().count()).div_ceil(3);
            (away <= limit && away < word.len()).then_some((away, word))
        })
        .min_by_key(|(away, _)| *away)
        .map(|(_, word)| word)
}

/// Insertions, deletions, replacements and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (row, letter) in a.chars().enumerate() {
        let mut next = Vec::with_capacity(last.len());
        let mut left = row.saturating_add(1);
        next.push(left);
        let mut other_before = None;
        for (column, other) in b.iter().enumerate() {
            let diagonal = last.get(column).copied().unwrap_or(usize::MAX);
            let above = last.get(column.saturating_add(1)).copied().unwrap_or(usize::MAX);
            let mut best = diagonal
                .saturating_add(usize::from(letter != *other))
                .min(above.saturating_add(1))
                .min(left.saturating_add(1));
            let swapped = previous == Some(*other) && other_before == Some(letter);
            if let Some(two_back) = column.checked_sub(1).and_then(|at| before.get(at))
                && swapped
            {
                best = best.min(two_back.saturating_add(1));
            }
            next.push(best);
            left = best;
            other_before = Some(*other);
        }
        before = std::mem::replace(&mut last, next);
        previous = Some(letter);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_is_near() {
        let known = ["fileAccess", "network", "execute", "mode", "path"];
        assert_eq!(nearest("fileacces", known), Some("fileAccess"));
        assert_eq!(nearest("exceute", known), Some("execute"));
        assert_eq!(nearest("pth", known), Some("path"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
