//! Messages of a WebSocket: whole, one after the other.

use std::sync::Arc;

use bytes::Bytes;
use remit_core::Detector;

use super::{
    Stop,
    scan::{Judge, readings, redact},
};

/// What kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// UTF-8.
    Text,
    /// Bytes.
    Binary,
    /// The payload of a ping, pong or close; at most 125 bytes.
    Control,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its kind.
    pub kind: MessageKind,
    /// Its payload.
    pub data: Bytes,
}

/// One step of the messages of one direction.
pub trait MessageStage: Send {
    /// Takes a message; writes those that go on. A control payload goes on alone or not at all.
    ///
    /// # Errors
    /// [`Stop`]: the socket is closed.
    fn message(&mut self, message: Message, out: &mut Vec<Message>) -> Result<(), Stop>;

    /// The socket is closed: writes what was kept.
    fn finish(&mut self, _: &mut Vec<Message>) {}
}

/// What the messages of a WebSocket pass.
#[derive(Default)]
pub struct Socket {
    /// From the program.
    pub up: Vec<Box<dyn MessageStage>>,
    /// To the program.
    pub down: Vec<Box<dyn MessageStage>>,
}

/// Looks for findings in each message.
pub(super) struct ScanMessages {
    pub(super) judge: Judge,
    pub(super) detector: Arc<dyn Detector>,
}

impl MessageStage for ScanMessages {
    fn message(&mut self, mut message: Message, out: &mut Vec<Message>) -> Result<(), Stop> {
        let findings = self.detector.find(&message.data);
        for reading in readings(&message.data) {
            let mut hidden = reading.search(&*self.detector);
            for known in &findings {
                if let Some(at) = hidden.iter().position(|one| one.class == known.class) {
                    hidden.remove(at);
                }
            }
            if !self.judge.decide(&hidden)?.is_empty() {
                return Err(self.judge.unreplaceable(&hidden));
            }
        }
        if !findings.is_empty() {
            let replaced = self.judge.decide(&findings)?;
            self.judge.record()?;
            if !replaced.is_empty() {
                let mut data = redact(&message.data, &replaced);
                if message.kind == MessageKind::Control {
                    data.truncate(MOST_CONTROL);
                }
                message.data = data.into();
            }
        }
        out.push(message);
        Ok(())
    }
}

/// RFC 6455, 5.5.
const MOST_CONTROL: usize = 125;
