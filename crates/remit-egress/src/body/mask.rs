//! Masking towards models, restoring on the way back.

use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::{Bytes, BytesMut};
use remit_core::{
    Action, DataAction, DataClass, DataRules, Direction, ModelApi, Outcome, ReasonCode,
};
use serde::Deserialize;

use super::{Exchange, Findings, Held, Message, MessageKind, MessageStage, Output, Stage, Stop};
use crate::model::{MaskError, MaskRules, Masked, Masker, ModelRequest, Socket, Unmasker};

/// The rules of what goes out, as the masker asks for them.
pub(super) struct Outwards(pub(super) Arc<DataRules>);

impl MaskRules for Outwards {
    fn action(&self, class: &DataClass) -> DataAction {
        self.0.action(Direction::Output, class).0
    }
}

/// What masking needs to know of a call.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) exchange: Arc<Exchange>,
    pub(super) masker: Masker,
    pub(super) api: ModelApi,
    pub(super) rules: Arc<DataRules>,
    pub(super) content_type: Option<String>,
    pub(super) signed: bool,
}

#[derive(Deserialize)]
struct Named {
    model: Option<String>,
}

impl Call {
    /// Masks one body; what is masked is in the trail before it is given out.
    fn mask(&self, body: &Bytes) -> Result<Bytes, Stop> {
        let request = ModelRequest {
            api: self.api,
            content_type: self.content_type.as_deref(),
            signed: self.signed,
            body,
        };
        let masked = self.masker.request(&request).map_err(|error| self.cannot(error))?;
        let found = self.judge(&masked)?;
        self.record(body, &masked, &found)?;
        Ok(match masked.body {
            std::borrow::Cow::Borrowed(_) => body.clone(),
            std::borrow::Cow::Owned(made) => made.into(),
        })
    }

    /// What the rules say about what was not masked. Alerts and redactions are the scanner's,
    /// which comes after.
    fn judge(&self, masked: &Masked<'_>) -> Result<Findings, Stop> {
        let nothing = Findings::default();
        if masked.unread > 0 {
            let detail = format!("{} files in it are too large to be searched", masked.unread);
            let reason = ReasonCode::BodyTooLarge;
            return Err(self.exchange.refuse(Direction::Output, reason, None, &nothing, detail));
        }
        let (mut hidden, mut blocked, mut held) =
            (Findings::default(), Findings::default(), Findings::default());
        let mut replaced = Findings::default();
        for found in &masked.findings {
            let wanted = self.rules.action(Direction::Output, &found.class).0;
            let into = match found.action {
                DataAction::Mask => &mut replaced,
                DataAction::Block if wanted == DataAction::Mask => &mut hidden,
                DataAction::Block => &mut blocked,
                DataAction::Quarantine if !self.exchange.released => &mut held,
                _ => continue,
            };
            for _ in 0..found.count {
                into.add(&found.class);
            }
        }
        let rule = |found: &Findings| {
            let (class, _) = found.iter().next()?;
            self.rules.action(Direction::Output, class).1.map(|rule| Arc::clone(&rule.at))
        };
        for (found, reason) in
            [(&blocked, ReasonCode::DataBlocked), (&hidden, ReasonCode::Unmaskable)]
        {
            if !found.is_empty() {
                let (rule, detail) = (rule(found), found.to_string());
                let stop = self.exchange.refuse(Direction::Output, reason, rule, found, detail);
                return Err(stop);
            }
        }
        if !held.is_empty() {
            let rule = rule(&held);
            return Err(Stop::Held(Held { found: held, rule }));
        }
        Ok(replaced)
    }

    /// The record of the call.
    fn record(&self, body: &[u8], masked: &Masked<'_>, found: &Findings) -> Result<(), Stop> {
        let named: Option<Named> = serde_json::from_slice(body).ok();
        let model = named.and_then(|named| named.model).unwrap_or_default();
        let model: String = model.chars().filter(|c| !c.is_control()).take(80).collect();
        let sha = digest::digest(&digest::SHA256, &masked.body);
        let sha: String = sha.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let api = self.api.as_str();
        let model = if model.is_empty() { String::new() } else { format!(" {model}") };
        let (outcome, reason, what) = if found.is_empty() {
            (Outcome::Allowed, ReasonCode::Granted, "nothing masked".to_owned())
        } else {
            (Outcome::Redacted, ReasonCode::DataMasked, format!("masked {found}"))
        };
        let rule = found.iter().next().and_then(|(class, _)| {
            self.rules.action(Direction::Output, class).1.map(|rule| Arc::clone(&rule.at))
        });
        let detail = format!("{api}{model}; {what}; sent sha256:{sha}");
        self.exchange.note_as(Action::ModelCall, outcome, reason, rule, detail)?;
        Ok(())
    }

    fn cannot(&self, error: MaskError) -> Stop {
        let reason = match error {
            MaskError::TooMuch => ReasonCode::BodyTooLarge,
            _ => ReasonCode::Unmaskable,
        };
        let nothing = Findings::default();
        self.exchange.refuse(Direction::Output, reason, None, &nothing, error.to_string())
    }
}

/// Masks a request's body, whole.
pub(super) struct Mask {
    pub(super) call: Call,
    pub(super) body: BytesMut,
}

impl Stage for Mask {
    fn push(&mut self, part: Bytes, _: &mut Output) -> Result<(), Stop> {
        self.body.extend_from_slice(&part);
        Ok(())
    }

    fn finish(&mut self, out: &mut Output) -> Result<(), Stop> {
        let body = std::mem::take(&mut self.body).freeze();
        let masked = self.call.mask(&body)?;
        if masked == body {
            out.pass(masked)
        } else {
            out.put(masked)
        }
        Ok(())
    }
}

/// Restores an answer as it comes.
pub(super) struct Unmask {
    pub(super) unmasker: Unmasker,
    pub(super) out: BytesMut,
}

impl Stage for Unmask {
    fn push(&mut self, part: Bytes, out: &mut Output) -> Result<(), Stop> {
        self.unmasker.push(&part, &mut self.out);
        out.put(self.out.split().freeze());
        Ok(())
    }

    fn finish(&mut self, out: &mut Output) -> Result<(), Stop> {
        self.unmasker.finish(&mut self.out);
        out.put(self.out.split().freeze());
        Ok(())
    }
}

/// Masks the messages of a socket towards a model.
pub(super) struct MaskMessages(pub(super) Call);

impl MessageStage for MaskMessages {
    fn message(&mut self, mut message: Message, out: &mut Vec<Message>) -> Result<(), Stop> {
        if message.kind != MessageKind::Control {
            message.data = self.0.mask(&message.data)?;
        }
        out.push(message);
        Ok(())
    }
}

/// Restores the messages of a socket from a model.
pub(super) struct UnmaskMessages(pub(super) Socket);

impl MessageStage for UnmaskMessages {
    fn message(&mut self, message: Message, out: &mut Vec<Message>) -> Result<(), Stop> {
        let kind = message.kind;
        if kind == MessageKind::Control {
            out.push(message);
            return Ok(());
        }
        let restored = self.0.message(message.data.to_vec());
        out.extend(restored.into_iter().map(|data| Message { kind, data: data.into() }));
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<Message>) {
        let kind = MessageKind::Text;
        let rest = self.0.finish().into_iter();
        out.extend(rest.map(|data| Message { kind, data: data.into() }));
    }
}
