//! What each string of a model API's JSON is, and so what may be done with it.

use std::collections::HashSet;

use remit_core::ModelApi;

use super::json::{Kind, Tape};

/// What may be done with a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Text of people, programs and models: masked and restored.
    Text,
    /// JSON inside a string, as function arguments are: its strings are masked and restored.
    Nested,
    /// Thinking: the vendor checks that it comes back unchanged. Vendors end a conversation for
    /// good when it does not.
    Kept,
    /// Signatures and encrypted content: as [`Role::Kept`], and nobody but the vendor reads it.
    Opaque,
    /// What other readers call `data`: encrypted thinking, or text.
    Data,
    /// The key of a member, of the protocol or the agent's own.
    Key,
    /// What servers name things.
    Id,
    /// A word of the protocol.
    Word,
    /// Files and images.
    Base64,
}

/// Gives the roles of a text's nodes, asked for in their order.
pub(crate) struct Roles<'t, 'a> {
    tape: &'t Tape<'a>,
    /// Up to here everything is the agent's or the model's own: tool input, schemas, metadata.
    free: usize,
    /// Up to here everything is thinking.
    kept: usize,
    /// Parts that Gemini marks as thoughts.
    thoughts: HashSet<usize>,
}

impl<'t, 'a> Roles<'t, 'a> {
    pub(crate) fn new(api: ModelApi, tape: &'t Tape<'a>) -> Self {
        let thoughts = if api == ModelApi::Gemini { thoughts(tape) } else { HashSet::new() };
        Self { tape, free: 0, kept: 0, thoughts }
    }

    /// All text: what stands in function arguments.
    pub(crate) fn all_free(tape: &'t Tape<'a>) -> Self {
        Self { tape, free: usize::MAX, kept: 0, thoughts: HashSet::new() }
    }

    /// The role of a string or a key. `None` for what is neither.
    pub(crate) fn next(&mut self, index: usize) -> Option<Role> {
        let node = self.tape.node(index)?;
        match node.kind {
            Kind::Key => Some(if index < self.free { Role::Text } else { Role::Key }),
            Kind::String if index < self.free => Some(Role::Text),
            Kind::String => Some(self.string(index)),
            Kind::Object | Kind::Array => {
                if index >= self.free && index >= self.kept {
                    self.enter(index, node.kind);
                }
                None
            }
            Kind::Number | Kind::Word => None,
        }
    }

    fn enter(&mut self, index: usize, kind: Kind) {
        let Some(node) = self.tape.node(index) else { return };
        let Some(key) = self.tape.key_of(index) else { return };
        let inside = || self.tape.key_of(self.tape.parent(index)?);
        match key {
            "input" | "arguments" | "metadata" | "json" if kind == Kind::Object => {
                self.free = node.behind();
            }
            "input_schema"
            | "inputSchema"
            | "parameters"
            | "parametersJsonSchema"
            | "schema"
            | "responseSchema"
            | "responseJsonSchema" => self.free = node.behind(),
            "args" if matches!(inside(), Some("functionCall" | "function_call")) => {
                self.free = node.behind();
            }
            "response" if matches!(inside(), Some("functionResponse" | "function_response")) => {
                self.free = node.behind();
            }
            "reasoningContent" | "reasoning_details" => self.kept = node.behind(),
            _ => {}
        }
    }

    fn is_picture(&self, index: usize) -> bool {
        let text = self.tape.node(index).map(|node| self.tape.raw(node)).unwrap_or_default();
        text.len() >= PICTURE_BYTES && looks_opaque(text)
    }

    fn string(&self, index: usize) -> Role {
        let Some(key) = self.tape.key_of(index) else {
            return if index < self.kept { Role::Kept } else { Role::Text };
        };
        let parent = self.tape.parent(index);
        match key {
            "signature" | "encrypted_content" | "encrypted_index" | "thoughtSignature"
            | "thought_signature" | "redactedContent" => Role::Opaque,
            "thinking" => Role::Kept,
            "text" if parent.is_some_and(|part| self.thoughts.contains(&part)) => Role::Kept,
            "type" | "role" | "model" | "object" => Role::Word,
            "id"
            | "tool_use_id"
            | "toolUseId"
            | "call_id"
            | "tool_call_id"
            | "item_id"
            | "response_id"
            | "previous_response_id"
            | "file_id"
            | "message_id"
            | "previous_item_id"
            | "responseId" => Role::Id,
            _ if index < self.kept => Role::Kept,
            "arguments" | "partial_json" => Role::Nested,
            "data" => match parent.and_then(|parent| self.tape.key_of(parent)) {
                Some("source" | "inlineData" | "inline_data" | "input_audio" | "audio") => {
                    Role::Base64
                }
                _ => Role::Data,
            },
            "bytes" | "file_data" | "b64_json" => Role::Base64,
            // A picture that `OpenAI` made.
            "result" if self.is_picture(index) => Role::Base64,
            _ => Role::Text,
        }
    }
}

/// Whether text can be an opaque value at all: agents may write anything into such a field.
pub(crate) fn looks_opaque(text: &str) -> bool {
    let opaque = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte);
    text.len() >= OPAQUE_BYTES && text.bytes().all(opaque)
}

/// Objects with `"thought": true`.
fn thoughts(tape: &Tape<'_>) -> HashSet<usize> {
    tape.nodes()
        .filter(|(index, node)| {
            node.kind == Kind::Word
                && tape.raw(node) == "true"
                && tape.key_of(*index) == Some("thought")
        })
        .filter_map(|(index, _)| tape.parent(index))
        .collect()
}

/// Whether a key is a word of the protocols, which no value can hide in.
pub(crate) fn is_protocol_key(key: &str) -> bool {
    KEYS.binary_search(&key).is_ok()
}

/// Anything shorter is no picture.
const PICTURE_BYTES: usize = 1024;
/// Anything shorter is a word, not a signature.
const OPAQUE_BYTES: usize = 32;

/// Keys of the protocols, which no value may stand in for. Sorted.
const KEYS: [&str; 96] = [
    "args",
    "arguments",
    "assistant",
    "budget_tokens",
    "cache_control",
    "candidates",
    "choices",
    "citations",
    "completion",
    "content",
    "contentBlockDelta",
    "contents",
    "created",
    "data",
    "delta",
    "description",
    "detail",
    "effort",
    "encrypted_content",
    "error",
    "file",
    "fileData",
    "finish_reason",
    "format",
    "function",
    "functionCall",
    "functionCallingConfig",
    "functionDeclarations",
    "functionResponse",
    "generationConfig",
    "id",
    "image",
    "image_url",
    "include",
    "index",
    "inferenceConfig",
    "inlineData",
    "input",
    "inputSchema",
    "input_schema",
    "instructions",
    "json",
    "logprobs",
    "maxOutputTokens",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "media_type",
    "message",
    "messages",
    "metadata",
    "mimeType",
    "model",
    "name",
    "object",
    "output",
    "parallel_tool_calls",
    "parameters",
    "parts",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "reasoning",
    "response",
    "response_format",
    "role",
    "schema",
    "seed",
    "service_tier",
    "signature",
    "source",
    "status",
    "stop",
    "stop_sequences",
    "store",
    "stream",
    "stream_options",
    "strict",
    "summary",
    "system",
    "systemInstruction",
    "temperature",
    "text",
    "thinking",
    "title",
    "toolConfig",
    "toolUse",
    "tool_choice",
    "tool_use",
    "tools",
    "top_p",
    "type",
    "url",
    "usage",
    "user",
    "verbosity",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_keys_are_sorted() {
        assert!(KEYS.is_sorted());
    }

    #[test]
    fn roles_follow_where_a_string_stands() {
        let text = br#"{"type":"x","input":{"type":"y","thinking":"t"},"thinking":"k",
            "arguments":"{}","source":{"data":"d"},"data":"e","text":"f","id":"i"}"#;
        let tape = Tape::read(text).expect("json");
        let mut roles = Roles::new(ModelApi::Anthropic, &tape);
        let strings: Vec<_> = tape
            .nodes()
            .filter_map(|(index, node)| {
                let role = roles.next(index)?;
                (node.kind == Kind::String).then(|| (tape.raw(node), role))
            })
            .collect();
        let expected = [
            ("x", Role::Word),
            ("y", Role::Text),
            ("t", Role::Text),
            ("k", Role::Kept),
            ("{}", Role::Nested),
            ("d", Role::Base64),
            ("e", Role::Data),
            ("f", Role::Text),
            ("i", Role::Id),
        ];
        assert_eq!(strings, expected);
    }
}
