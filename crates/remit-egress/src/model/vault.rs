//! Which pseudonym stands for which value, for the life of a session.

use std::{
    borrow::Borrow,
    collections::{HashMap, HashSet},
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::hmac;
use remit_core::DataClass;
use zeroize::Zeroizing;

use super::pseudonym::{self, Text};

/// The values of a session and their pseudonyms, shared by all its connections.
///
/// A pseudonym is a keyed hash of class and value, so the same key gives the same pseudonyms and
/// the model's prompt cache keeps working. A value keeps its first pseudonym, also when another
/// class is found for it later. Nothing is forgotten: earlier turns live on at the vendor.
pub struct Vault {
    /// The library erases its copy when it is dropped.
    key: hmac::Key,
    limit: usize,
    known: Mutex<Known>,
    /// Hashes of thinking that came from the vendor.
    heard: Mutex<HashSet<[u8; 32]>>,
}

/// A thought of the model that is being read.
#[derive(Clone)]
pub(crate) struct Thought(hmac::Context);

#[derive(Default)]
struct Known {
    of_value: HashMap<Value, Text>,
    of_text: HashMap<Text, Value>,
    bytes: usize,
}

/// A value; erased when its last holder is dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Value(Arc<Zeroizing<String>>);

/// The vault takes no more values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more values than may be kept")]
pub(crate) struct Full;

impl Vault {
    /// An empty vault for one thread of conversations, under its key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self::with_limit(key, MAX_VALUES)
    }

    /// Keeps at most `limit` values.
    pub(crate) fn with_limit(key: &[u8; 32], limit: usize) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        Self { key, limit, known: Mutex::default(), heard: Mutex::default() }
    }

    /// Knows a value before it is met: an answer may name its pseudonym first, where the vendor
    /// keeps the conversation. `false` where there is no room.
    pub fn learn(&self, value: &str, class: &DataClass) -> bool {
        self.pseudonym(value, class).is_ok()
    }

    /// How many values it holds.
    pub fn len(&self) -> usize {
        self.lock().of_text.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pseudonym of a value: the one it has, or a new one.
    pub(crate) fn pseudonym(&self, value: &str, class: &DataClass) -> Result<Text, Full> {
        let mut known = self.lock();
        if let Some(text) = known.of_value.get(value) {
            return Ok(*text);
        }
        let bytes = known.bytes.saturating_add(value.len());
        if known.of_text.len() >= self.limit || bytes > MAX_BYTES {
            return Err(Full);
        }
        // Two values with one hash are as good as impossible; the second then takes the next.
        let text = (0..MAX_TWEAKS)
            .map(|tweak| self.spell(value, class, tweak))
            .find(|text| !known.of_text.contains_key(text))
            .ok_or(Full)?;
        let value = Value(Arc::new(Zeroizing::new(value.to_owned())));
        known.bytes = bytes;
        known.of_text.insert(text, value.clone());
        known.of_value.insert(value, text);
        Ok(text)
    }

    /// The value that a pseudonym stands for.
    pub(crate) fn value(&self, text: &Text) -> Option<Value> {
        self.lock().of_text.get(text).cloned()
    }

    /// Begins to read a thought.
    pub(crate) fn thought(&self) -> Thought {
        let mut context = hmac::Context::with_key(&self.key);
        // No class has this name.
        context.update(b"thought\0");
        Thought(context)
    }

    /// The vendor said this thought to its end, so it may come back to it as it is: agents return
    /// thinking unchanged, and a model can think of a value by itself.
    pub(crate) fn hear(&self, thought: Thought) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() < MAX_THOUGHTS {
            heard.insert(thought.end());
        }
    }

    /// Whether the vendor said exactly this.
    pub(crate) fn has_heard(&self, text: &str) -> bool {
        let mut thought = self.thought();
        thought.goes_on(text);
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.contains(&thought.end())
    }

    fn spell(&self, value: &str, class: &DataClass, tweak: u8) -> Text {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(class.as_str().as_bytes());
        context.update(&[0, tweak]);
        context.update(value.as_bytes());
        pseudonym::spell(class, context.sign().as_ref())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Thought {
    /// More of it.
    pub(crate) fn goes_on(&mut self, text: &str) {
        self.0.update(text.as_bytes());
    }

    fn end(self) -> [u8; 32] {
        let mut hash = [0; 32];
        for (byte, own) in hash.iter_mut().zip(self.0.sign().as_ref()) {
            *byte = *own;
        }
        hash
    }
}

impl fmt::Debug for Thought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Thought")
    }
}

impl Deref for Value {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Value {
    fn borrow(&self) -> &str {
        self
    }
}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        str::hash(self, state);
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({} values, not shown)", self.len())
    }
}

/// Values of one session.
const MAX_VALUES: usize = 65_536;
/// Their bytes together.
const MAX_BYTES: usize = 16 << 20;
/// Thoughts of one session that are told apart from the agent's own words.
const MAX_THOUGHTS: usize = 65_536;
/// Tries to get out of each other's way.
const MAX_TWEAKS: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn class(word: &str) -> DataClass {
        DataClass::parse(word).expect(word)
    }

    #[test]
    fn one_key_gives_one_pseudonym_and_another_key_another() {
        let one = Vault::new(&[1; 32]);
        let again = Vault::new(&[1; 32]);
        let other = Vault::new(&[2; 32]);
        let email = class("EMAIL");
        let text = one.pseudonym("ada@x.example", &email).expect("room");
        assert_eq!(again.pseudonym("ada@x.example", &email), Ok(text));
        assert_ne!(other.pseudonym("ada@x.example", &email), Ok(text));
        assert_ne!(one.pseudonym("Ada@x.example", &email), Ok(text));
        assert_eq!(one.value(&text).as_deref(), Some("ada@x.example"));
        assert!(other.value(&text).is_none());
    }

    #[test]
    fn a_value_keeps_its_first_pseudonym() {
        let vault = Vault::new(&[1; 32]);
        let text = vault.pseudonym("Paris", &class("PERSON")).expect("room");
        assert_eq!(vault.pseudonym("Paris", &class("LOCATION")), Ok(text));
        assert_eq!(vault.len(), 1);
    }

    #[test]
    fn a_taken_pseudonym_is_not_given_to_a_second_value() {
        let vault = Vault::new(&[1; 32]);
        let person = class("PERSON");
        let taken = vault.spell("second", &person, 0);
        vault.lock().of_text.insert(taken, Value(Arc::new(Zeroizing::new("first".to_owned()))));
        let text = vault.pseudonym("second", &person).expect("room");
        assert_eq!(text, vault.spell("second", &person, 1));
        assert_eq!(vault.value(&taken).as_deref(), Some("first"));
    }

    #[test]
    fn a_full_vault_refuses_and_prints_nothing() {
        let vault = Vault::with_limit(&[1; 32], 1);
        let person = class("PERSON");
        assert!(vault.pseudonym("hunter22", &person).is_ok());
        assert_eq!(vault.pseudonym("other", &person), Err(Full));
        assert!(vault.pseudonym("hunter22", &person).is_ok());
        assert!(!format!("{vault:?}").contains("hunter"));
    }
}
