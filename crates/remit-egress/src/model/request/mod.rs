//! Finding and replacing values in what goes to a model.

mod blob;
mod text;

use std::borrow::Cow;

use remit_core::{DataAction, DataClass, Finding, ModelApi};

use super::{
    MaskError, Masked, Masker, ModelRequest, Place,
    field::{Role, Roles, is_protocol_key, looks_opaque},
    json::{Edit, Kind, Node, Tape, TapeError, map_to_raw, splice, unescape},
    masker::Found,
};

/// Masks a body. JSON keeps its shape; whatever else is text is masked as text; what is neither is
/// searched.
pub(crate) fn mask<'a>(
    masker: &Masker,
    request: &ModelRequest<'a>,
) -> Result<Masked<'a>, MaskError> {
    let mut search = Search { masker, api: request.api, findings: Vec::new(), unread: 0 };
    let edits = search.body(request.content_type, request.body)?;
    let body = if edits.is_empty() {
        Cow::Borrowed(request.body)
    } else if request.signed {
        return Err(MaskError::Signed);
    } else {
        let mut masked = Vec::with_capacity(request.body.len().saturating_add(edits.len() * 16));
        splice(request.body, &edits, &mut masked);
        Cow::Owned(masked)
    };
    Ok(Masked { body, findings: search.findings, unread: search.unread })
}

/// One body under search.
struct Search<'m> {
    masker: &'m Masker,
    api: ModelApi,
    findings: Vec<Found>,
    unread: usize,
}

impl Search<'_> {
    /// The changes that mask the body, in order.
    fn body(&mut self, content_type: Option<&str>, body: &[u8]) -> Result<Vec<Edit>, MaskError> {
        let is =
            |word: &str| content_type.is_some_and(|kind| kind.to_ascii_lowercase().contains(word));
        let mut edits = Vec::new();
        if body.len() > MAX_BODY {
            return Err(MaskError::TooMuch);
        }
        if is("multipart/") {
            // Parts have their own types and encodings; whoever builds one again may build another.
            self.data(body);
            return Ok(edits);
        }
        if self.json(body, 0, &mut edits)? {
            return Ok(edits);
        }
        if self.wide(body) {
            // It may be no text at all.
            self.data(body);
            return Ok(edits);
        }
        let Ok(text) = std::str::from_utf8(body) else {
            self.data(body);
            return Ok(edits);
        };
        // Lines of JSON, as uploads of batches have them; any other line is text.
        if is("jsonl") || is("ndjson") || text.lines().next().is_some_and(is_json) {
            let mut at = 0;
            for line in text.split_inclusive('\n') {
                if !self.json(line.as_bytes(), at, &mut edits)? {
                    self.text(line, at, &mut edits)?;
                }
                at = at.saturating_add(line.len());
            }
        } else {
            self.text(text, 0, &mut edits)?;
        }
        Ok(edits)
    }

    /// Masks a JSON text that begins at `offset`; false when it is none.
    fn json(&mut self, text: &[u8], offset: usize, out: &mut Vec<Edit>) -> Result<bool, MaskError> {
        let tape = match Tape::read(text) {
            Ok(tape) => tape,
            Err(TapeError::NotJson) => return Ok(false),
            Err(TapeError::TooMuch) => return Err(MaskError::TooMuch),
        };
        let roles = Roles::new(self.api, &tape);
        self.strings(&tape, roles, offset, out)?;
        Ok(true)
    }

    fn strings(
        &mut self,
        tape: &Tape<'_>,
        mut roles: Roles<'_, '_>,
        offset: usize,
        out: &mut Vec<Edit>,
    ) -> Result<(), MaskError> {
        for (index, node) in tape.nodes() {
            match roles.next(index) {
                Some(role) => self.string(tape, node, role, offset, out)?,
                None if node.kind == Kind::Number => self.number(tape.raw(node)),
                None => {}
            }
        }
        Ok(())
    }

    fn string(
        &mut self,
        tape: &Tape<'_>,
        node: &Node,
        role: Role,
        offset: usize,
        out: &mut Vec<Edit>,
    ) -> Result<(), MaskError> {
        let raw = tape.raw(node);
        let text = if node.escaped { unescape(raw) } else { Cow::Borrowed(raw) };
        let first = out.len();
        match role {
            Role::Text if text.starts_with("data:") && self.data_url(&text) => {}
            Role::Base64 if self.base64(&text) => {}
            Role::Opaque | Role::Data if looks_opaque(&text) => {}
            // Its author knows it.
            Role::Kept if self.masker.vault.has_heard(&text) => {}
            Role::Key if self.find(&text).is_empty() || is_protocol_key(&text) => {}
            Role::Word if is_common(&text) => {}
            Role::Text | Role::Key | Role::Base64 | Role::Data => self.text(&text, 0, out)?,
            Role::Nested => self.nested(&text, out)?,
            Role::Kept | Role::Opaque | Role::Word => self.fixed(&text, 0, Place::Fixed),
            Role::Id => self.fixed(&text, BY_CHANCE, Place::Fixed),
        }
        let edits = out.get_mut(first..).unwrap_or_default();
        if edits.is_empty() {
            return Ok(());
        }
        if node.escaped {
            map_to_raw(raw, edits.iter_mut().map(|edit| &mut edit.range));
        }
        shift(edits, offset.saturating_add(node.range().start));
        Ok(())
    }

    /// JSON inside a string: what its strings say is masked, so that it stays JSON and a value has
    /// one pseudonym there and in text. What is not quite JSON (models err) is read leniently.
    fn nested(&mut self, text: &str, out: &mut Vec<Edit>) -> Result<(), MaskError> {
        match Tape::read(text.as_bytes()) {
            Ok(tape) => self.strings(&tape, Roles::all_free(&tape), 0, out),
            Err(TapeError::TooMuch) => Err(MaskError::TooMuch),
            Err(TapeError::NotJson) => {
                let first = out.len();
                self.text(&unescape(text), 0, out)?;
                let edits = out.get_mut(first..).unwrap_or_default();
                map_to_raw(text, edits.iter_mut().map(|edit| &mut edit.range));
                Ok(())
            }
        }
    }

    /// A number that is a value as a whole. Putting text in its place would change the type.
    fn number(&mut self, raw: &str) {
        if raw.len() < BY_CHANCE {
            return;
        }
        for finding in self.find(raw) {
            if finding.range.len() == raw.trim_start_matches('-').len() {
                self.count(&finding.class, Place::Number);
            }
        }
    }

    fn find(&self, text: &str) -> Vec<Finding> {
        self.masker.detector.find(text.as_bytes())
    }

    /// Notes a finding, and says whether it is to be replaced here.
    fn count(&mut self, class: &DataClass, place: Place) -> bool {
        let mut action = self.masker.rules.action(class);
        if action == DataAction::Mask && place != Place::Text {
            action = DataAction::Block;
        }
        let same = |found: &&mut Found| {
            found.class == *class && found.action == action && found.place == place
        };
        match self.findings.iter_mut().find(same) {
            Some(found) => found.count = found.count.saturating_add(1),
            None => self.findings.push(Found { class: class.clone(), action, place, count: 1 }),
        }
        action == DataAction::Mask
    }
}

fn shift(edits: &mut [Edit], by: usize) {
    for edit in edits {
        edit.range = edit.range.start.saturating_add(by)..edit.range.end.saturating_add(by);
    }
}

fn is_json(line: &str) -> bool {
    Tape::read(line.as_bytes()).is_ok()
}

/// Words that every request has. A value that is one of them cannot be kept from the vendor.
fn is_common(word: &str) -> bool {
    matches!(
        word,
        "assistant"
            | "content"
            | "data"
            | "developer"
            | "document"
            | "ephemeral"
            | "function"
            | "image"
            | "input"
            | "input_text"
            | "message"
            | "messages"
            | "model"
            | "name"
            | "output_text"
            | "role"
            | "system"
            | "text"
            | "thinking"
            | "tool"
            | "tool_result"
            | "tool_use"
            | "type"
            | "user"
    )
}

/// Larger bodies are refused.
const MAX_BODY: usize = 64 << 20;
/// Shorter values stand in ids, numbers and binary data by chance.
const BY_CHANCE: usize = 6;
