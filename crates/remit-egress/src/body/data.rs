//! The inspector of sensitive data: rules and a detector.

use std::sync::Arc;

use http::{HeaderMap, header, request, response};
use remit_core::{DataAction, DataRules, Detector, Direction, Host, ModelApi};

use super::{
    Excerpt, Exchange, GATHERED, Gather, HELD, Inspector, Socket, Stages, Stop, Watch, excerpts,
    head,
    message::ScanMessages,
    scan::{Judge, Scan},
};

/// Looks for what a detector finds and does what the rules say.
pub struct DataInspector {
    rules: Arc<DataRules>,
    detector: Arc<dyn Detector>,
}

impl DataInspector {
    /// An inspector by these rules.
    pub fn new(rules: DataRules, detector: Arc<dyn Detector>) -> Self {
        Self { rules: Arc::new(rules), detector }
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
        let judge = self.judge(exchange, direction, false);
        let scan = Scan::new(judge, Arc::clone(&self.detector), self.stops(direction), events);
        Stages {
            stages: vec![Box::new(scan)],
            changes: self.has(direction, DataAction::Redact),
            gather: Gather::Nothing,
        }
    }
}

impl Inspector for DataInspector {
    fn watches(&self, direction: Direction, _: &Host, _: Option<ModelApi>) -> Watch {
        if self.stops(direction) { Watch::Stops } else { Watch::Records }
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

    fn socket(&self, exchange: &Arc<Exchange>) -> Result<Socket, Stop> {
        let scan = |direction| ScanMessages {
            judge: self.judge(exchange, direction, false),
            detector: Arc::clone(&self.detector),
        };
        Ok(Socket {
            up: vec![Box::new(scan(Direction::Output))],
            down: vec![Box::new(scan(Direction::Input))],
        })
    }

    fn excerpts(&self, payload: &[u8]) -> Vec<Excerpt> {
        excerpts(&*self.detector, payload)
    }
}

fn is(headers: &HeaderMap, kind: &str) -> bool {
    let value = headers.get(header::CONTENT_TYPE).map_or(&[][..], |value| value.as_bytes());
    value.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind.as_bytes()))
}
