//! One pass of all recognisers over a text.

use std::sync::LazyLock;

use crate::{
    context::{Columns, Memory, Role, Word, Words},
    found::Hit,
    pii::{
        amount, bank, birth, card, cue::Around, email, iban, ip, medical, national, number::Number,
        phone, wallet,
    },
    secrets::{Vendors, armour, header, jwt, named, seed, table, url},
    text::{before, byte, part, run},
    walk::{self, Sink, Tables},
};

/// What a pass knows from what came before.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    memory: Memory,
    columns: Columns,
    /// Places before these are parts of what was looked at.
    number_end: usize,
    word_end: usize,
    /// The header whose rows were read.
    table: usize,
}

impl State {
    /// Moves every position back: the text lost its first `count` bytes.
    pub(crate) fn shift(&mut self, count: usize) {
        self.memory.shift(count);
        self.columns.shift(count);
        self.number_end = self.number_end.saturating_sub(count);
        self.word_end = self.word_end.saturating_sub(count);
        self.table = self.table.saturating_sub(count);
    }
}

/// Every hit whose start is found while walking `text[from..to]`; hits may overlap.
pub(crate) fn pass(text: &[u8], from: usize, to: usize, state: &mut State) -> Vec<Hit> {
    let mut recognisers = Recognisers {
        text,
        words: Words::shipped(),
        vendors: Vendors::shipped(),
        state,
        hits: Vec::new(),
    };
    walk::walk(tables(), text, from, to, &mut recognisers);
    recognisers.table(usize::MAX);
    let mut hits = recognisers.hits;
    seed::find(text, from, to, |hit| hits.push(hit));
    hits
}

/// Sorts hits and leaves the one that says most where several overlap.
pub(crate) fn resolve(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_by_key(|hit| (hit.start, std::cmp::Reverse(hit.end)));
    let mut kept: Vec<Hit> = Vec::with_capacity(hits.len());
    for hit in hits {
        match kept.last_mut() {
            Some(last) if hit.start < last.end => {
                let key = |hit: &Hit| (hit.class.rank(), hit.percent, hit.end - hit.start);
                if key(&hit) > key(last) {
                    *last = hit;
                }
            }
            _ => kept.push(hit),
        }
    }
    kept
}

fn tables() -> &'static Tables {
    static TABLES: LazyLock<Tables> = LazyLock::new(|| {
        let firsts = Vendors::shipped().firsts().chain(iban::firsts());
        let firsts = firsts.chain(wallet::FIRSTS).chain([*b"eyJ"]);
        Tables::new(Words::shipped().grams(), firsts)
    });
    &TABLES
}

struct Recognisers<'a> {
    text: &'a [u8],
    words: &'static Words,
    vendors: &'static Vendors,
    state: &'a mut State,
    hits: Vec<Hit>,
}

impl Recognisers<'_> {
    fn around(&self) -> Around<'_> {
        Around { text: self.text, memory: &self.state.memory, columns: &self.state.columns }
    }

    fn keep(&mut self, hit: Option<Hit>) -> bool {
        let found = hit.is_some();
        self.hits.extend(hit);
        found
    }

    /// Reads the rows of a header that the walk has passed.
    fn table(&mut self, at: usize) {
        let end = self.state.columns.end();
        if end != self.state.table && at > end {
            self.state.table = end;
            table::below(self.text, &self.state.columns, |hit| self.hits.push(hit));
        }
    }

    fn named(&mut self, word: Word) {
        let text = self.text;
        match word.role {
            Role::Password | Role::Pin | Role::Secret | Role::KeyName => {
                let hit = named::at(text, word);
                self.keep(hit);
            }
            Role::Bearer => {
                self.keep(header::bearer(text, word.end));
            }
            Role::Basic => {
                self.keep(header::basic(text, word.end));
            }
            Role::Curl => {
                self.keep(header::user_option(text, word.end));
            }
            Role::Birth => {
                self.keep(birth::after(text, word.end));
            }
            Role::Salary => {
                self.keep(amount::after(text, word.end));
            }
            Role::Medical => {
                let name = part(text, word.start..word.end);
                self.keep(medical::after(text, name, word.end));
            }
            _ => {}
        }
    }

    fn digits(&mut self, at: usize) {
        let text = self.text;
        let around = self.around();
        // A bracket or a plus before, or a bracket after: only telephones have them.
        let dialled = matches!(before(text, at), b'+' | b'(');
        let number = Number::at(text, at);
        let end = number.whole().range().end;
        let next = byte(text, end);
        let bracket = next == b'(' || next == b' ' && byte(text, end + 1) == b'(' || next == b')';
        let hit = if dialled || bracket { phone::find(&around, at) } else { None };
        let cell = around.columns.role(text, at, &[Role::Salary, Role::Birth]);
        let hit = hit
            .or_else(
                || if next == b':' || next.is_ascii_hexdigit() { ip::v6(text, at) } else { None },
            )
            .or_else(|| wallet::number(&around, at))
            .or_else(|| if number.count() >= 4 { ip::v4(&around, &number) } else { None })
            .or_else(|| card::find(&around, &number))
            .or_else(|| national::trailing(&around, &number))
            .or_else(|| match cell {
                Some(Role::Birth) => birth::column(&around, &number),
                Some(_) => amount::cell(text, at),
                None => None,
            });
        let hit = match hit {
            None if number.count() >= 6 => national::find(&around, &number)
                .or_else(|| bank::find(&around, &number))
                .or_else(|| phone::find(&around, at)),
            hit => hit,
        };
        self.state.number_end = hit.as_ref().map_or(end, |hit| end.max(hit.end));
        self.keep(hit);
    }
}

impl Sink for Recognisers<'_> {
    fn gram(&mut self, at: usize, gram: u16) {
        if at < self.state.word_end {
            return;
        }
        let Some(word) = self.words.at(self.text, at, gram) else { return };
        self.state.word_end = word.end;
        self.table(at);
        self.state.memory.note(word);
        self.state.columns.note(self.text, word);
        self.named(word);
    }

    fn prefix(&mut self, at: usize) {
        let text = self.text;
        let hit = self.vendors.at(text, at);
        let hit = hit
            .or_else(|| jwt::at(text, at))
            .or_else(|| iban::at(text, at))
            .or_else(|| wallet::bech32(text, at));
        if let Some(hit) = &hit {
            self.state.number_end = self.state.number_end.max(hit.end);
        }
        self.keep(hit);
    }

    fn number(&mut self, at: usize) {
        if at < self.state.number_end {
            return;
        }
        // Most numbers of programs are short and stand alone.
        let end = run(self.text, at, 20, |byte| byte.is_ascii_digit());
        let next = byte(self.text, end);
        let goes_on = match next {
            b' ' | b'-' | b'.' | b'/' | b'(' | b')' => {
                byte(self.text, end + 1).is_ascii_digit()
                    || byte(self.text, end + 1) == b'('
                    || next == b')' && end > at + 1
            }
            b':' | b'x' | 0xc2 => true,
            next => next.is_ascii_hexdigit(),
        };
        let dialled = matches!(before(self.text, at), b'+' | b'(') && end > at;
        if end - at < 4 && !goes_on && !dialled {
            return;
        }
        self.digits(at);
    }

    fn mixed(&mut self, at: usize) {
        let hit = national::mixed(&self.around(), at);
        let hit = hit.or_else(|| {
            let start = at.checked_sub(4)?;
            bank::ifsc(&self.around(), start)
        });
        self.keep(hit);
    }

    fn at_sign(&mut self, at: usize) {
        let hit = email::at(self.text, at);
        self.keep(hit);
    }

    fn colon(&mut self, at: usize) {
        if byte(self.text, at + 1) == b'/' {
            let hit = url::at(self.text, at);
            self.keep(hit);
        }
    }

    fn dashes(&mut self, at: usize) {
        let hit = armour::at(self.text, at);
        self.keep(hit);
    }
}
