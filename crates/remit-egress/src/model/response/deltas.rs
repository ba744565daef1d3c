//! Which strings of an event are parts of longer texts, and which texts end with it.
//!
//! The APIs are told apart by their events' own shape, so a host that speaks two of them is read.

use crate::model::json::{Kind, Node, Tape};

/// How an event is read.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// In the order of their nodes.
    pub(super) deltas: Vec<Delta>,
    /// Thinking that goes on: nodes and texts.
    pub(super) thoughts: Vec<(usize, Slot)>,
    ends: Vec<Ends>,
}

/// A string that continues a text.
#[derive(Debug)]
pub(super) struct Delta {
    /// The string's node.
    pub(super) node: usize,
    pub(super) slot: Slot,
    /// 1 where the text is JSON.
    pub(super) times: u8,
    wrap: Wrap,
}

/// One text of an answer: what it is, the choice, block or output it is in, and its part there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    what: String,
    group: u64,
    part: u64,
}

/// Texts that nothing follows to.
#[derive(Debug)]
enum Ends {
    All,
    Group(u64),
    /// This text of a group, all its parts.
    What(&'static str, u64),
    Slot(Slot),
}

/// What an event that carries held text looks like.
#[derive(Clone, Copy, Debug)]
enum Wrap {
    /// As the one that came.
    Same,
    /// The list element that it came in becomes this one, with the rest of the event as it was.
    Choice {
        element: usize,
        delta: &'static str,
    },
    Candidate {
        element: usize,
    },
}

impl Plan {
    /// Reads an event; with the `last` one every text ends.
    pub(super) fn of(tape: &Tape<'_>, last: bool) -> Self {
        let mut plan = Self::default();
        if last {
            plan.end(Ends::All);
        }
        let kind = tape.string(0, "type");
        if let Some(kind) = kind {
            if kind.contains('.') {
                plan.responses(tape, kind);
            } else {
                plan.anthropic(tape, kind);
            }
        } else if let Some(choices) = tape.member(0, "choices") {
            plan.chat(tape, choices);
        } else if let Some(candidates) =
            tape.member(0, "candidates").or_else(|| tape.path(0, &["response", "candidates"]))
        {
            plan.gemini(tape, candidates);
        } else if let Some(block) = tape.number(0, "contentBlockIndex") {
            plan.converse(tape, block);
        } else {
            plan.invoke(tape);
        }
        plan.deltas.sort_unstable_by_key(|delta| delta.node);
        plan.deltas.dedup_by_key(|delta| delta.node);
        plan
    }

    /// Whether nothing follows to a text.
    pub(super) fn closes(&self, slot: &Slot) -> bool {
        self.ends.iter().any(|ends| match ends {
            Ends::All => true,
            Ends::Group(group) => slot.group == *group,
            Ends::What(what, group) => slot.what == *what && slot.group == *group,
            Ends::Slot(one) => one == slot,
        })
    }

    fn push(&mut self, tape: &Tape<'_>, node: Option<usize>, slot: Slot, times: u8, wrap: Wrap) {
        let string = |index: &usize| tape.node(*index).is_some_and(|one| one.kind == Kind::String);
        if let Some(node) = node.filter(string).filter(|_| self.deltas.len() < MAX_DELTAS) {
            self.deltas.push(Delta { node, slot, times, wrap });
        }
    }

    fn thought(&mut self, tape: &Tape<'_>, node: Option<usize>, slot: Slot) {
        let string = |index: &usize| tape.node(*index).is_some_and(|one| one.kind == Kind::String);
        self.thoughts.extend(node.filter(string).map(|node| (node, slot)));
    }

    fn end(&mut self, ends: Ends) {
        match self.ends.len() {
            ..MAX_DELTAS => self.ends.push(ends),
            MAX_DELTAS => self.ends.push(Ends::All),
            _ => {}
        }
    }

    /// Anthropic Messages. Thinking, signatures and citations are no texts that are changed here.
    fn anthropic(&mut self, tape: &Tape<'_>, kind: &str) {
        let block = tape.number(0, "index").unwrap_or_default();
        match kind {
            "content_block_delta" => {
                let Some(delta) = tape.member(0, "delta") else { return };
                let slot = |what| Slot::new(what, block, 0);
                let text = tape.member(delta, "text");
                self.push(tape, text, slot("text"), 0, Wrap::Same);
                self.thought(tape, tape.member(delta, "thinking"), slot("thinking"));
                let json = tape.member(delta, "partial_json");
                self.push(tape, json, slot("partial_json"), 1, Wrap::Same);
            }
            "content_block_stop" => self.end(Ends::Group(block)),
            "message_delta" | "message_stop" | "message_start" | "error" => {
                self.end(Ends::All);
            }
            // Anthropic's older Text Completions.
            "completion" => self.invoke(tape),
            _ => {}
        }
    }

    /// `OpenAI` Responses and Realtime: every `….delta` has its `….done`.
    fn responses(&mut self, tape: &Tape<'_>, kind: &str) {
        let number = |name| tape.number(0, name);
        let output = number("output_index").unwrap_or_default();
        let part = number("content_index").or(number("summary_index")).unwrap_or_default();
        if let Some(what) = kind.strip_suffix(".delta") {
            // Sound and pictures.
            if what.ends_with("audio") || what.contains("image") {
                return;
            }
            let times = u8::from(what.ends_with("arguments"));
            let slot = Slot::new(what, output, part);
            self.push(tape, tape.member(0, "delta"), slot, times, Wrap::Same);
        } else if matches!(
            kind,
            "response.output_item.added"
                | "response.output_item.done"
                | "response.content_part.done"
                | "response.reasoning_summary_part.done"
        ) {
            self.end(Ends::Group(output));
        } else if let Some(what) = kind.strip_suffix(".done") {
            self.end(Ends::Slot(Slot::new(what, output, part)));
            if what == "response" {
                self.end(Ends::All);
            }
        } else if matches!(
            kind,
            "response.created"
                | "response.completed"
                | "response.incomplete"
                | "response.failed"
                | "response.cancelled"
        ) {
            self.end(Ends::All);
        }
    }

    /// `OpenAI` Chat Completions, and the older Completions with their `text`.
    fn chat(&mut self, tape: &Tape<'_>, choices: usize) {
        for (place, element) in tape.children(choices).enumerate() {
            let place = u64::try_from(place).unwrap_or(u64::MAX);
            let choice = tape.number(element, "index").unwrap_or(place);
            let wrap = |delta| Wrap::Choice { element, delta };
            let ended = tape
                .member(element, "finish_reason")
                .and_then(|index| tape.node(index))
                .is_some_and(|node| node.kind == Kind::String);
            if ended {
                self.end(Ends::Group(choice));
            }
            if let Some(delta) = tape.member(element, "delta") {
                for what in CHAT_TEXTS {
                    let text = tape.member(delta, what);
                    self.push(tape, text, Slot::new(what, choice, 0), 0, wrap(what));
                }
                if tape.string(delta, "content").is_some_and(|text| !text.is_empty()) {
                    // Whoever speaks has thought.
                    CHAT_THOUGHTS.iter().for_each(|what| self.end(Ends::What(what, choice)));
                }
                let legacy = tape.path(delta, &["function_call", "arguments"]);
                let slot = Slot::new("function_call", choice, 0);
                self.push(tape, legacy, slot, 1, wrap("function_call"));
                if let Some(calls) = tape.member(delta, "tool_calls") {
                    // Nobody goes on talking in the middle of a word.
                    CHAT_TEXTS.iter().for_each(|what| self.end(Ends::What(what, choice)));
                    self.calls(tape, calls, choice, element);
                }
            } else if tape.member(element, "message").is_none() {
                let text = tape.member(element, "text");
                self.push(tape, text, Slot::new("completion", choice, 0), 0, wrap("completion"));
            }
        }
    }

    fn calls(&mut self, tape: &Tape<'_>, calls: usize, choice: u64, element: usize) {
        for (place, call) in tape.children(calls).enumerate() {
            let place = u64::try_from(place).unwrap_or(u64::MAX);
            let part = tape.number(call, "index").unwrap_or(place);
            for (what, path, times) in
                [("tool_call", ["function", "arguments"], 1), ("custom", ["custom", "input"], 0)]
            {
                let text = tape.path(call, &path);
                let wrap = Wrap::Choice { element, delta: what };
                self.push(tape, text, Slot::new(what, choice, part), times, wrap);
            }
        }
    }

    /// Gemini: the text of a candidate goes on from event to event.
    fn gemini(&mut self, tape: &Tape<'_>, candidates: usize) {
        for (place, element) in tape.children(candidates).enumerate() {
            let place = u64::try_from(place).unwrap_or(u64::MAX);
            let candidate = tape.number(element, "index").unwrap_or(place);
            let ended = tape
                .member(element, "finishReason")
                .and_then(|index| tape.node(index))
                .is_some_and(|node| node.kind == Kind::String);
            if ended {
                self.end(Ends::Group(candidate));
            }
            let Some(parts) = tape.path(element, &["content", "parts"]) else { continue };
            for part in tape.children(parts) {
                let thought = tape
                    .member(part, "thought")
                    .and_then(|index| tape.node(index))
                    .is_some_and(|node| tape.raw(node) == "true");
                let text = tape.member(part, "text").filter(|_| !thought);
                if text.is_none() {
                    self.end(Ends::Group(candidate));
                }
                let slot = Slot::new("text", candidate, 0);
                self.push(tape, text, slot, 0, Wrap::Candidate { element });
            }
        }
    }

    /// Bedrock `ConverseStream`.
    fn converse(&mut self, tape: &Tape<'_>, block: u64) {
        let Some(delta) = tape.member(0, "delta") else {
            self.end(Ends::Group(block));
            return;
        };
        let text = tape.member(delta, "text");
        self.push(tape, text, Slot::new("text", block, 0), 0, Wrap::Same);
        let thought = tape.path(delta, &["reasoningContent", "text"]);
        self.thought(tape, thought, Slot::new("thinking", block, 0));
        let input = tape.path(delta, &["toolUse", "input"]);
        self.push(tape, input, Slot::new("input", block, 0), 1, Wrap::Same);
    }

    /// The shapes of other models on Bedrock, and events without text that end an answer.
    fn invoke(&mut self, tape: &Tape<'_>) {
        let ended = |name| {
            tape.member(0, name)
                .and_then(|index| tape.node(index))
                .is_some_and(|node| node.kind == Kind::String)
        };
        if ["stop_reason", "stopReason", "completionReason"].into_iter().any(ended) {
            self.end(Ends::All);
        }
        for what in ["generation", "outputText", "completion"] {
            let text = tape.member(0, what);
            self.push(tape, text, Slot::new(what, 0, 0), 0, Wrap::Same);
        }
    }
}

impl Delta {
    /// What stands before and behind held text in the event that carries it.
    pub(super) fn shape(&self, tape: &Tape<'_>, node: &Node) -> (Vec<u8>, Vec<u8>) {
        let element = match self.wrap {
            Wrap::Same => return tape.around(node.range()),
            Wrap::Choice { element, .. } | Wrap::Candidate { element } => element,
        };
        let list = tape.parent(element).and_then(|index| tape.node(index));
        let Some(list) = list.map(Node::range) else { return tape.around(node.range()) };
        // Between the brackets of the list.
        let inside = list.start.saturating_add(1)..list.end.saturating_sub(1);
        let (mut before, behind) = tape.around(inside);
        let Slot { group, part, .. } = self.slot;
        let (head, tail) = match self.wrap {
            Wrap::Choice { delta: "completion", .. } => {
                (format!(r#"{{"index":{group},"text":""#), r#"","finish_reason":null}"#)
            }
            Wrap::Choice { delta: "tool_call", .. } => (
                format!(
                    r#"{{"index":{group},"delta":{{"tool_calls":[{{"index":{part},"function":{{"arguments":""#
                ),
                r#""}}]},"finish_reason":null}"#,
            ),
            Wrap::Choice { delta: "custom", .. } => (
                format!(
                    r#"{{"index":{group},"delta":{{"tool_calls":[{{"index":{part},"custom":{{"input":""#
                ),
                r#""}}]},"finish_reason":null}"#,
            ),
            Wrap::Choice { delta: "function_call", .. } => (
                format!(r#"{{"index":{group},"delta":{{"function_call":{{"arguments":""#),
                r#""}},"finish_reason":null}"#,
            ),
            Wrap::Choice { delta, .. } => (
                format!(r#"{{"index":{group},"delta":{{"{delta}":""#),
                r#""},"finish_reason":null}"#,
            ),
            Wrap::Candidate { .. } | Wrap::Same => (
                r#"{"content":{"parts":[{"text":""#.to_owned(),
                r#""}],"role":"model"},"index":0}"#,
            ),
        };
        before.extend_from_slice(head.as_bytes());
        let tail = if matches!(self.wrap, Wrap::Candidate { .. }) {
            tail.replace(":0}", &format!(":{group}}}"))
        } else {
            tail.to_owned()
        };
        (before, [tail.as_bytes(), &behind].concat())
    }
}

impl Slot {
    fn new(what: &str, group: u64, part: u64) -> Self {
        Self { what: what.to_owned(), group, part }
    }
}

/// Texts of one event that are read as parts, and ends of texts; any more are read as whole texts.
const MAX_DELTAS: usize = 512;
/// Texts of a Chat delta that come before what is said.
const CHAT_THOUGHTS: [&str; 2] = ["reasoning_content", "reasoning"];
/// Texts of a Chat delta.
const CHAT_TEXTS: [&str; 4] = ["content", "refusal", "reasoning_content", "reasoning"];
