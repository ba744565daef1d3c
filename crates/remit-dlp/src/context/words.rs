//! The list of context words, and finding one at a place.

use std::{collections::HashMap, sync::LazyLock};

use super::Role;
use crate::{
    text::{before, byte, is_word},
    walk::gram,
};

/// The list, ready for look-ups.
#[derive(Debug)]
pub(crate) struct Words {
    /// For each code, a place in `lists`; 0 is empty.
    places: Box<[u16]>,
    lists: Vec<Vec<Entry>>,
}

/// A word that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) role: Role,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Debug)]
struct Entry {
    text: &'static [u8],
    role: Role,
    inside: bool,
    open: bool,
}

impl Words {
    /// The list that ships with the crate.
    pub(crate) fn shipped() -> &'static Self {
        static SHIPPED: LazyLock<Words> = LazyLock::new(|| Words::parse(include_str!("words.txt")));
        &SHIPPED
    }

    /// First three bytes of every word, and whether it counts inside of others.
    pub(crate) fn grams(&self) -> impl Iterator<Item = (u16, bool)> {
        (0_u16..).zip(&self.places).filter_map(|(gram, place)| {
            let list = self.lists.get(usize::from(*place)).filter(|list| !list.is_empty())?;
            Some((gram, list.iter().any(|entry| entry.inside)))
        })
    }

    /// The longest word at `at`, whose first three bytes have the code `gram`.
    pub(crate) fn at(&self, text: &[u8], at: usize, gram: u16) -> Option<Word> {
        let entries = self.lists.get(usize::from(*self.places.get(usize::from(gram))?))?;
        entries.iter().find_map(|entry| {
            let end = entry.end(text, at)?;
            Some(Word { role: entry.role, start: at, end })
        })
    }

    fn parse(list: &'static str) -> Self {
        let mut by_gram: HashMap<u16, Vec<Entry>> = HashMap::new();
        for line in list.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            let Some(name) = words.next() else { continue };
            let Some((role, _)) = Role::ALL.into_iter().find(|(_, spelling)| *spelling == name)
            else {
                debug_assert!(false, "no such role: {name}");
                continue;
            };
            for word in words {
                let (word, inside) = word.strip_prefix('~').map_or((word, false), |w| (w, true));
                let (word, open) = word.strip_suffix('+').map_or((word, false), |w| (w, true));
                let entry = Entry { text: word.as_bytes(), role, inside, open };
                for first in first_grams(word) {
                    let list = by_gram.entry(first).or_default();
                    list.push(Entry { ..entry });
                }
            }
        }
        let (mut places, mut lists) = (vec![0; 1 << 15].into_boxed_slice(), vec![Vec::new()]);
        for (gram, mut entries) in by_gram {
            entries.sort_by_key(|entry| std::cmp::Reverse(entry.text.len()));
            if let (Some(slot), Ok(place)) =
                (places.get_mut(usize::from(gram)), u16::try_from(lists.len()))
            {
                *slot = place;
                lists.push(entries);
            }
        }
        Self { places, lists }
    }
}

/// The codes that a word may start with: a `_` among its first bytes may stand for nothing.
fn first_grams(word: &str) -> Vec<u16> {
    let joined: String = word.chars().filter(|letter| *letter != '_').collect();
    let mut grams: Vec<u16> = [word, &joined].iter().filter_map(|w| gram(w.as_bytes())).collect();
    if word.len() == 2 {
        // A word of two letters ends, so what follows is no letter: code 0.
        grams.extend(gram(format!("{word}.").as_bytes()));
    }
    grams.dedup();
    grams
}

impl Entry {
    /// Where the word ends if it stands at `at`.
    fn end(&self, text: &[u8], at: usize) -> Option<usize> {
        let mut place = at;
        for &wanted in self.text {
            let found = byte(text, place);
            if wanted == b'_' {
                place += usize::from(matches!(found, b' ' | b'_' | b'-' | b'.'));
            } else if found.eq_ignore_ascii_case(&wanted) && found != 0 {
                place += 1;
            } else {
                return None;
            }
        }
        let left = self.inside || starts(text, at);
        let right = self.open || self.inside || ends(text, place);
        (left && right).then_some(place)
    }
}

/// Whether a word, or a part of a compound name, starts here.
fn starts(text: &[u8], at: usize) -> bool {
    let (last, first) = (before(text, at), byte(text, at));
    // An escaped line end is no letter.
    let escaped = matches!(last, b'n' | b't' | b'r') && before(text, at - 1) == b'\\';
    // Scripts without blanks between words, and case, give no boundary to look for.
    !is_word(last)
        || escaped
        || first >= 0x80
        || last.is_ascii_digit()
        || (first.is_ascii_uppercase() && last.is_ascii_lowercase())
}

/// Whether a word, or a part of a compound name, ends here; a plural counts.
fn ends(text: &[u8], at: usize) -> bool {
    let (last, next) = (before(text, at), byte(text, at));
    let done = |last: u8, next: u8| {
        !is_word(next)
            || last >= 0x80
            || next.is_ascii_digit()
            || (next.is_ascii_uppercase() && last.is_ascii_lowercase())
    };
    done(last, next)
        || (next == b's' && last.is_ascii_alphabetic() && done(b's', byte(text, at + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(text: &str, at: usize) -> Option<Role> {
        let first = gram(text.as_bytes().get(at..)?)?;
        Words::shipped().at(text.as_bytes(), at, first).map(|word| word.role)
    }

    #[test]
    fn words_stand_alone_in_compounds_and_with_other_separators() {
        assert_eq!(role("password=", 0), Some(Role::Password));
        assert_eq!(role("dbPassword=", 2), Some(Role::Password));
        assert_eq!(role("DB_PASS=", 3), Some(Role::Password));
        assert_eq!(role("api-key", 0), Some(Role::Secret));
        assert_eq!(role("apiKey", 0), Some(Role::Secret));
        assert_eq!(role("Geburtsdatum", 0), Some(Role::Birth));
        assert_eq!(role("电话：", 0), Some(Role::Phone));
        assert_eq!(role("cc: 4", 0), Some(Role::Card));
    }

    #[test]
    fn parts_of_other_words_are_not_meant() {
        assert_eq!(role("compass ", 3), None);
        assert_eq!(role("passage", 0), None);
        assert_eq!(role("pinned", 0), None);
        assert_eq!(role("telling", 0), None);
    }
}
