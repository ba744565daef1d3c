//! The inspector of sensitive data: rules and a detector.

use std::sync::Arc;

use bytes::BytesMut;
use http::{HeaderMap, header, request, response};
use remit_core::{DataAction, DataRules, Detector, Direction, Host, ModelApi};

use super::{
    Excerpt, Exchange, GATHERED, Gather, HELD, Inspector, MASKED, Socket, Stages, Stop, Watch,
    excerpts, head,
    mask::{Call, Mask, MaskMessages, Outwards, Unmask, UnmaskMessages},
    message::ScanMessages,
    scan::{Judge, Scan, redact},
};
use crate::model::{Masker, Vault, is_signed};

/// Looks for what a detector finds and does what the rules say.
pub struct DataInspector {
    rules: Arc<DataRules>,
    detector: Arc<dyn Detector>,
    masker: Masker,
}

impl DataInspector {
    /// An inspector by these rules; `vault` knows which pseudonym stands for which value.
    pub fn new(rules: DataRules, detector: Arc<dyn Detector>, vault: Arc<Vault>) -> Self {
        let rules = Arc::new(rules);
        let outwards = Arc::new(Outwards(Arc::clone(&rules)));
        let masker = Masker::new(vault, Arc::clone(&detector), outwards);
        Self { rules, detector, masker }
    }

    /// The model API of a host where something is masked.
    fn masks(&self, model: Option<ModelApi>) -> Option<ModelApi> {
        model.filter(|_| self.has(Direction::Output, DataAction::Mask))
    }

    fn call(&self, exchange: &Arc<Exchange>, headers: &HeaderMap) -> Option<Call> {
        let text = |name| {
            let value: Option<&http::HeaderValue> = headers.get(name);
            value.and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let signed = text(header::AUTHORIZATION).is_some_and(|value| is_signed(&value));
        Some(Call {
            exchange: Arc::clone(exchange),
            masker: self.masker.clone(),
            api: self.masks(exchange.model)?,
            rules: Arc::clone(&self.rules),
            content_type: text(header::CONTENT_TYPE),
            signed,
        })
    }

    fn judge(&self, exchange: &Arc<Exchange>, direction: Direction, masked: bool) -> Judge {
        Judge::new(Arc::clone(exchange), Arc::clone(&self.rules), direction, masked)
    }

    fn has(&self, direction: Direction, action: DataAction) -> bool {
        self.rules.of(direction).iter().any(|rule| rule.action == action)
    }

    /// Whether a finding may have to be stopped. Secrets going out are, by default.
    fn stops(&self, direction: Direction) -> bool {
        direction == Direction::Output
            || self.rules.of(direction).iter().any(|rule| rule.action > DataAction::Alert)
    }

    fn scan(&self, exchange: &Arc<Exchange>, direction: Direction, events: bool) -> Stages {
        let masked = direction == Direction::Output && self.masks(exchange.model).is_some();
        let judge = self.judge(exchange, direction, masked);
        let scan = Scan::new(judge, Arc::clone(&self.detector), self.stops(direction), events);
        Stages {
            stages: vec![Box::new(scan)],
            changes: self.has(direction, DataAction::Redact),
            gather: Gather::Nothing,
        }
    }
}

impl Inspector for DataInspector {
    fn watches(&self, direction: Direction, _: &Host, model: Option<ModelApi>) -> Watch {
        if self.stops(direction) || self.masks(model).is_some() {
            Watch::Stops
        } else {
            Watch::Records
        }
    }

    fn request_head(
        &self,
        exchange: &Arc<Exchange>,
        parts: &mut request::Parts,
    ) -> Result<(), Stop> {
        let mut judge = self.judge(exchange, Direction::Output, false);
        head::target(&mut judge, &*self.detector, &exchange.target)?;
        head::headers(&mut judge, &*self.detector, &mut parts.headers)
    }

    fn request(&self, exchange: &Arc<Exchange>, parts: &request::Parts) -> Result<Stages, Stop> {
        let mut stages = self.scan(exchange, Direction::Output, false);
        if let Some(call) = self.call(exchange, &parts.headers) {
            stages.stages.insert(0, Box::new(Mask { call, body: BytesMut::new() }));
            stages.changes = true;
            stages.gather = Gather::Whole(MASKED);
            return Ok(stages);
        }
        // Calls that go both ways at once would wait for each other.
        if !is(&parts.headers, "application/grpc") {
            let held = self.has(Direction::Output, DataAction::Quarantine);
            stages.gather = Gather::Small(if held { HELD } else { GATHERED });
        }
        Ok(stages)
    }

    fn response_head(
        &self,
        exchange: &Arc<Exchange>,
        parts: &mut response::Parts,
    ) -> Result<(), Stop> {
        let mut judge = self.judge(exchange, Direction::Input, false);
        head::headers(&mut judge, &*self.detector, &mut parts.headers)
    }

    fn response(&self, exchange: &Arc<Exchange>, parts: &response::Parts) -> Result<Stages, Stop> {
        let events = is(&parts.headers, "text/event-stream");
        let mut stages = self.scan(exchange, Direction::Input, events);
        if let Some(api) = self.masks(exchange.model) {
            let kind = parts.headers.get(header::CONTENT_TYPE);
            let kind = kind.and_then(|value| value.to_str().ok());
            let unmasker = self.masker.response(api, kind);
            stages.stages.push(Box::new(Unmask { unmasker, out: BytesMut::new() }));
            stages.changes = true;
        }
        let streams = events || is(&parts.headers, "application/grpc");
        let length = parts.headers.contains_key(header::CONTENT_LENGTH);
        if self.has(Direction::Input, DataAction::Quarantine) && !streams {
            stages.gather = Gather::Small(HELD);
        } else if self.stops(Direction::Input) && !streams && length {
            // A refusal can then still be said in words.
            stages.gather = Gather::Small(GATHERED);
        }
        Ok(stages)
    }

    fn trailers(
        &self,
        exchange: &Arc<Exchange>,
        direction: Direction,
        trailers: &mut HeaderMap,
    ) -> Result<(), Stop> {
        let mut judge = self.judge(exchange, direction, false);
        head::headers(&mut judge, &*self.detector, trailers)
    }

    fn raw(&self, exchange: &Arc<Exchange>) -> Stages {
        self.scan(exchange, Direction::Output, false)
    }

    fn socket(&self, exchange: &Arc<Exchange>) -> Result<Socket, Stop> {
        let masks = self.masks(exchange.model);
        let scan = |direction| ScanMessages {
            judge: self.judge(
                exchange,
                direction,
                masks.is_some() && direction == Direction::Output,
            ),
            detector: Arc::clone(&self.detector),
        };
        let mut socket = Socket {
            up: vec![Box::new(scan(Direction::Output))],
            down: vec![Box::new(scan(Direction::Input))],
        };
        if let Some((api, call)) = masks.zip(self.call(exchange, &HeaderMap::new())) {
            socket.up.insert(0, Box::new(MaskMessages(call)));
            socket.down.push(Box::new(UnmaskMessages(self.masker.socket(api))));
        }
        Ok(socket)
    }

    fn shown(&self, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        let plain = head::unescaped(&bytes);
        // What hides behind escapes is shown without them, or it could not be taken out.
        if !self.detector.find(&plain).is_empty() {
            bytes = plain;
        }
        let found = self.detector.find(&bytes);
        String::from_utf8_lossy(&redact(&bytes, &found)).into_owned()
    }

    fn excerpts(&self, payload: &[u8]) -> Vec<Excerpt> {
        excerpts(&*self.detector, payload)
    }
}

fn is(headers: &HeaderMap, kind: &str) -> bool {
    let value = headers.get(header::CONTENT_TYPE).map_or(&[][..], |value| value.as_bytes());
    value.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind.as_bytes()))
}
