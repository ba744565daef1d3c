//! A request whose bodies are looked into.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http::{request, response};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use remit_core::{AccessRequest, Denial, Direction, ReasonCode};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::{
    flow::{Flow, Sending, copy},
    headers, holding,
    payload::{Payload, Tail, Whole},
    rest::Rest,
    through::Through,
    upgrade,
    wire::Wire,
};
use crate::{
    Inspection,
    body::{
        Chain, Coding, Exchange, Findings, Gather, HELD, Held, Stages, Stop, Undecodable, Watch,
        codings,
    },
    live::Effecting,
    refusal::Fault,
    ws::Watched,
};

/// What one inspected request needs on its way.
pub(super) struct Way {
    pub(super) flow: Arc<Flow>,
    pub(super) inspection: Arc<Inspection>,
    pub(super) effecting: Arc<Effecting>,
}

/// A body that was read, or the beginning of a larger one.
enum Gathered {
    All { parts: Vec<Bytes>, trailers: Option<HeaderMap>, share: Option<OwnedSemaphorePermit> },
    Begun(Vec<Bytes>),
}

/// One body with all that is known about it.
struct Matter<'h> {
    exchange: Arc<Exchange>,
    direction: Direction,
    codings: &'h [Coding],
    headers: &'h HeaderMap,
}

impl Way {
    /// Judges the request, sends it, judges the answer. `upgrade` is there for a WebSocket.
    pub(super) async fn forward(
        self,
        request: Request<Incoming>,
        upgrade: Option<&Arc<Wire>>,
        question: AccessRequest,
    ) -> Result<Response<Payload>, Denial> {
        let h2 = request.version() == Version::HTTP_2;
        let exchange = Arc::new(self.exchange(&request, question));
        let (mut parts, body) = request.into_parts();
        let head = self.inspection.inspector.request_head(&exchange, &mut parts);
        if let Some(wire) = upgrade {
            head.map_err(|stop| refused(&exchange, Direction::Output, stop))?;
            let socket = self.inspection.inspector.socket(&exchange);
            let socket = socket.map_err(|stop| refused(&exchange, Direction::Output, stop))?;
            let request = Request::from_parts(parts, body);
            let Self { flow, inspection, effecting } = self;
            let watched = Some(Watched { socket, exchange, inspection });
            return upgrade::forward(flow, request, Arc::clone(wire), effecting, watched).await;
        }
        let held = match head {
            Ok(()) => None,
            Err(Stop::Held(held)) => Some(held),
            Err(Stop::Refused(denial)) => return Err(*denial),
        };
        headers::for_server(&mut parts.headers);
        let spare = (parts.method.is_idempotent() && body.is_end_stream() && held.is_none())
            .then(|| copy(&parts));
        let (exchange, payload) = self.request(exchange, &mut parts, body, held).await?;
        let input = self.watch(Direction::Input);
        let mut spare = spare;
        for headers in
            std::iter::once(&mut parts.headers).chain(spare.iter_mut().map(Request::headers_mut))
        {
            if input != Watch::Nothing {
                headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            }
            if input == Watch::Stops {
                // Of a part that begins or ends inside a finding nobody can say that it is one.
                headers.remove(header::RANGE);
                headers.remove(header::IF_RANGE);
            }
        }
        let chunked = !payload.is_end_stream() && payload.size_hint().exact().is_none();
        let method = parts.method.clone();
        let request = Request::from_parts(parts, payload);
        let sending = Sending { h2, chunked, spare, rest: Rest::of(&request) };
        let effecting = Arc::clone(&self.effecting);
        let sent = self.flow.send(request, sending, effecting).await;
        let (response, tail) = match (sent, exchange.take_stop()) {
            (_, Some(stop)) => return Err(refused(&exchange, Direction::Output, stop)),
            (sent, None) => sent?,
        };
        self.answer(exchange, &method, response, tail).await
    }

    fn exchange(&self, request: &Request<Incoming>, question: AccessRequest) -> Exchange {
        let flow = &self.flow;
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let guard = Arc::clone(&flow.engine.guard);
        let endpoint = (flow.target.host.clone(), flow.target.port);
        let what = (request.method().as_str().to_owned(), target.to_owned());
        Exchange::new(guard, question, endpoint, what, flow.model)
    }

    fn watch(&self, direction: Direction) -> Watch {
        self.inspection.inspector.watches(direction, &self.flow.target.host, self.flow.model)
    }

    /// The request's body as it is sent; heads are changed with it. Gives the exchange back, which
    /// may have been released meanwhile.
    async fn request(
        &self,
        exchange: Arc<Exchange>,
        parts: &mut request::Parts,
        mut body: Incoming,
        held: Option<Held>,
    ) -> Result<(Arc<Exchange>, Payload), Denial> {
        let inspector = &self.inspection.inspector;
        let no = |stop| refused(&exchange, Direction::Output, stop);
        let codings = codings(&parts.headers).map_err(|fault| no(unreadable(&exchange, fault)))?;
        let mut stages = inspector.request(&exchange, parts).map_err(no)?;
        if held.is_none() && (stages.is_empty() || body.is_end_stream()) {
            let payload = Payload::request(body, &self.effecting);
            return Ok((exchange, payload));
        }
        if held.is_some() {
            stages.gather = Gather::Whole(HELD);
        }
        let gathered = self.gather(&mut body, stages.gather, true, &exchange).await?;
        let matter = Matter {
            exchange: Arc::clone(&exchange),
            direction: Direction::Output,
            codings: &codings,
            headers: &parts.headers,
        };
        let (data, trailers, share) = match gathered {
            Gathered::All { parts, trailers, share } => (parts, trailers, share),
            Gathered::Begun(begun) => {
                let changes = stages.changes;
                let through = self.through(matter, stages, parts, body, begun).map_err(no)?;
                if changes {
                    recode(&mut parts.headers, None);
                }
                return Ok((exchange, Payload::Through(Box::new(through))));
            }
        };
        let judged = match held {
            Some(held) => Err(Stop::Held(held)),
            None => self.judge(&matter, stages, parts, &data, trailers.clone()),
        };
        let (exchange, (mut whole, changed)) = match judged {
            Ok(judged) => (exchange, judged),
            Err(stop @ Stop::Refused(_)) => return Err(no(stop)),
            Err(Stop::Held(held)) => {
                let inspection = &self.inspection;
                holding::settle(inspection, &exchange, Direction::Output, &parts.headers, held, {
                    decoded(&codings, &data).map_err(|fault| no(unreadable(&exchange, fault)))?
                })
                .await?;
                let exchange = Arc::new(exchange.released());
                let no = |stop| refused(&exchange, Direction::Output, stop);
                inspector.request_head(&exchange, parts).map_err(no)?;
                let stages = inspector.request(&exchange, parts).map_err(no)?;
                let matter = Matter {
                    exchange: Arc::clone(&exchange),
                    direction: Direction::Output,
                    codings: &codings,
                    headers: &parts.headers,
                };
                let judged = self.judge(&matter, stages, parts, &data, trailers).map_err(no)?;
                (exchange, judged)
            }
        };
        if changed {
            if is_signed(&parts.headers) {
                let nothing = Findings::default();
                let detail = "the request is signed, so nothing in it can be replaced".to_owned();
                let reason = ReasonCode::DataBlocked;
                let stop = exchange.refuse(Direction::Output, reason, None, &nothing, detail);
                return Err(refused(&exchange, Direction::Output, stop));
            }
            recode(&mut parts.headers, Some(whole.length()));
        }
        if whole.trailers.is_some() {
            parts.headers.remove(header::CONTENT_LENGTH);
        }
        whole.share = share;
        whole.tail = Some(Box::new(Tail {
            effecting: Some(Arc::clone(&self.effecting)),
            ..Tail::default()
        }));
        Ok((exchange, Payload::Whole(Box::new(whole))))
    }

    /// The answer as the program gets it.
    async fn answer(
        &self,
        exchange: Arc<Exchange>,
        method: &Method,
        response: Response<Incoming>,
        tail: Tail,
    ) -> Result<Response<Payload>, Denial> {
        let (mut parts, mut body) = response.into_parts();
        headers::for_agent(&mut parts.headers);
        let inspector = &self.inspection.inspector;
        let watch = self.watch(Direction::Input);
        let no = |stop| refused(&exchange, Direction::Input, stop);
        if watch == Watch::Nothing {
            return Ok(untouched(parts, body, tail));
        }
        inspector.response_head(&exchange, &mut parts).map_err(no)?;
        if body.is_end_stream() || *method == Method::HEAD {
            return Ok(untouched(parts, body, tail));
        }
        if watch == Watch::Stops && parts.status == StatusCode::PARTIAL_CONTENT {
            let fault = Undecodable("a part of a whole, and no part was asked for");
            return Err(no(unread(&exchange, Direction::Input, fault)));
        }
        let codings = match codings(&parts.headers) {
            Ok(codings) => codings,
            Err(_) if watch == Watch::Records => return Ok(untouched(parts, body, tail)),
            Err(fault) => return Err(no(unread(&exchange, Direction::Input, fault))),
        };
        let stages = inspector.response(&exchange, &parts).map_err(no)?;
        if stages.is_empty() {
            return Ok(untouched(parts, body, tail));
        }
        let gathered = self.gather(&mut body, stages.gather, false, &exchange).await?;
        let matter = Matter {
            exchange: Arc::clone(&exchange),
            direction: Direction::Input,
            codings: &codings,
            headers: &parts.headers,
        };
        let (data, trailers, share) = match gathered {
            Gathered::All { parts, trailers, share } => (parts, trailers, share),
            Gathered::Begun(begun) => {
                let changes = stages.changes;
                let mut through = self.pass(matter, stages, &parts, body, begun).map_err(no)?;
                through.tail = Some(Box::new(tail));
                if changes {
                    recode(&mut parts.headers, None);
                }
                return Ok(Response::from_parts(parts, Payload::Through(Box::new(through))));
            }
        };
        let (mut whole, changed) =
            match self.judge_answer(&matter, stages, &parts, &data, trailers.clone()) {
                Ok(judged) => judged,
                Err(stop @ Stop::Refused(_)) => return Err(no(stop)),
                Err(Stop::Held(held)) => {
                    let body = decoded(&codings, &data)
                        .map_err(|fault| no(unread(&exchange, Direction::Input, fault)))?;
                    let inspection = &self.inspection;
                    let headers = &parts.headers;
                    holding::settle(inspection, &exchange, Direction::Input, headers, held, body)
                        .await?;
                    let exchange = Arc::new(exchange.released());
                    let no = |stop| refused(&exchange, Direction::Input, stop);
                    let stages = inspector.response(&exchange, &parts).map_err(no)?;
                    let matter = Matter { exchange: Arc::clone(&exchange), ..matter };
                    self.judge_answer(&matter, stages, &parts, &data, trailers).map_err(no)?
                }
            };
        if changed {
            recode(&mut parts.headers, Some(whole.length()));
        }
        if whole.trailers.is_some() {
            parts.headers.remove(header::CONTENT_LENGTH);
        }
        whole.share = share;
        whole.tail = Some(Box::new(tail));
        Ok(Response::from_parts(parts, Payload::Whole(Box::new(whole))))
    }

    /// Reads as much of a body as must be there before its first byte goes on.
    async fn gather(
        &self,
        body: &mut Incoming,
        gather: Gather,
        impatient: bool,
        exchange: &Arc<Exchange>,
    ) -> Result<Gathered, Denial> {
        let (limit, whole) = match gather {
            Gather::Nothing => return Ok(Gathered::Begun(Vec::new())),
            Gather::Small(limit) => (limit, false),
            Gather::Whole(limit) => (limit, true),
        };
        let exact =
            body.size_hint().exact().map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        let direction = if impatient { Direction::Output } else { Direction::Input };
        let large = || {
            let nothing = Findings::default();
            let detail = format!("more than {limit} bytes");
            let reason = ReasonCode::BodyTooLarge;
            refused(exchange, direction, exchange.refuse(direction, reason, None, &nothing, detail))
        };
        if exact.is_some_and(|size| size > limit) {
            return if whole { Err(large()) } else { Ok(Gathered::Begun(Vec::new())) };
        }
        let share = self.share(exact.unwrap_or(limit)).await?;
        let (mut parts, mut trailers, mut size) = (Vec::new(), None, 0usize);
        loop {
            let next = body.frame();
            // A program may wait for the answer to what it has sent so far.
            let next = if exact.is_none() && impatient && !whole {
                match timeout(PATIENCE, next).await {
                    Ok(next) => next,
                    Err(_) => return Ok(Gathered::Begun(parts)),
                }
            } else {
                next.await
            };
            match next.map(|frame| frame.map(Frame::into_data)) {
                None => return Ok(Gathered::All { parts, trailers, share: Some(share) }),
                Some(Err(_)) if impatient => {
                    return Err(self.flow.refuse(Fault::malformed("the body broke off")));
                }
                Some(Err(error)) => {
                    let (dialer, target) = (&self.flow.engine.dialer, &self.flow.target);
                    return Err(dialer.failed(target, &error.to_string()));
                }
                Some(Ok(Ok(data))) => {
                    size = size.saturating_add(data.len());
                    parts.push(data);
                    if size > limit {
                        return if whole { Err(large()) } else { Ok(Gathered::Begun(parts)) };
                    }
                }
                Some(Ok(Err(frame))) => trailers = frame.into_trailers().ok(),
            }
        }
    }

    /// A body's share of what may be gathered at once.
    async fn share(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Denial> {
        let wanted = u32::try_from((bytes >> 10).saturating_add(1)).unwrap_or(u32::MAX);
        let gathering = Arc::clone(&self.flow.engine.gathering);
        match timeout(SHARE_PATIENCE, gathering.acquire_many_owned(wanted)).await {
            Ok(Ok(share)) => Ok(share),
            _ => {
                let detail = "too many bodies gathered at once";
                Err(self.flow.refuse(Fault::new(ReasonCode::LimitReached, detail)))
            }
        }
    }

    /// Judges a request's body that is there from its first byte to its last.
    fn judge(
        &self,
        matter: &Matter<'_>,
        stages: Stages,
        head: &request::Parts,
        data: &[Bytes],
        trailers: Option<HeaderMap>,
    ) -> Result<(Whole, bool), Stop> {
        let coded = match matter.codings {
            [] => Stages::default(),
            _ => self.inspection.inspector.request(&matter.exchange, head)?,
        };
        self.judge_whole(matter, stages, coded, data, trailers)
    }

    fn judge_answer(
        &self,
        matter: &Matter<'_>,
        stages: Stages,
        head: &response::Parts,
        data: &[Bytes],
        trailers: Option<HeaderMap>,
    ) -> Result<(Whole, bool), Stop> {
        let coded = match matter.codings {
            [] => Stages::default(),
            _ => self.inspection.inspector.response(&matter.exchange, head)?,
        };
        self.judge_whole(matter, stages, coded, data, trailers)
    }

    fn judge_whole(
        &self,
        matter: &Matter<'_>,
        stages: Stages,
        coded: Stages,
        data: &[Bytes],
        mut trailers: Option<HeaderMap>,
    ) -> Result<(Whole, bool), Stop> {
        let (changes, coded_too) = (stages.changes, !matter.codings.is_empty());
        let mut chain = matter.chain(stages, coded);
        let mut parts = VecDeque::new();
        for part in data {
            parts.extend(chain.push(part.clone())?);
        }
        parts.extend(chain.finish()?);
        if let Some(trailers) = &mut trailers {
            let inspector = &self.inspection.inspector;
            inspector.trailers(&matter.exchange, matter.direction, trailers)?;
        }
        let changed = chain.changed() || (changes && coded_too);
        if !changed {
            parts = data.iter().cloned().collect();
        }
        parts.retain(|part| !part.is_empty());
        Ok((Whole { parts, trailers, ..Whole::default() }, changed))
    }

    fn through(
        &self,
        matter: Matter<'_>,
        stages: Stages,
        head: &request::Parts,
        body: Incoming,
        begun: Vec<Bytes>,
    ) -> Result<Through, Stop> {
        let coded = match matter.codings {
            [] => Stages::default(),
            _ => self.inspection.inspector.request(&matter.exchange, head)?,
        };
        let mut through = self.streaming(matter, stages, coded, body, begun)?;
        through.tail = Some(Box::new(Tail {
            effecting: Some(Arc::clone(&self.effecting)),
            ..Tail::default()
        }));
        Ok(through)
    }

    fn pass(
        &self,
        matter: Matter<'_>,
        stages: Stages,
        head: &response::Parts,
        body: Incoming,
        begun: Vec<Bytes>,
    ) -> Result<Through, Stop> {
        let coded = match matter.codings {
            [] => Stages::default(),
            _ => self.inspection.inspector.response(&matter.exchange, head)?,
        };
        self.streaming(matter, stages, coded, body, begun)
    }

    fn streaming(
        &self,
        matter: Matter<'_>,
        stages: Stages,
        coded: Stages,
        body: Incoming,
        begun: Vec<Bytes>,
    ) -> Result<Through, Stop> {
        let length = (!stages.changes).then(|| content_length(matter.headers)).flatten();
        let records =
            matter.direction == Direction::Input && self.watch(Direction::Input) == Watch::Records;
        let chain = matter.chain(stages, coded);
        let chain = if records { chain.lenient() } else { chain };
        let whose = (matter.exchange, matter.direction);
        let inspector = Arc::clone(&self.inspection.inspector);
        let mut through = Through::new(body, begun, chain, whose, inspector)?;
        through.left = length;
        Ok(through)
    }
}

impl Matter<'_> {
    fn chain(&self, stages: Stages, coded: Stages) -> Chain {
        Chain::new(Arc::clone(&self.exchange), self.direction, self.codings, stages, coded)
    }
}

fn untouched(parts: response::Parts, body: Incoming, tail: Tail) -> Response<Payload> {
    Response::from_parts(parts, Payload::Stream { body, tail: Some(Box::new(tail)) })
}

/// The answer to what does not go on. What cannot be held is refused.
fn refused(exchange: &Exchange, direction: Direction, stop: Stop) -> Denial {
    match stop {
        Stop::Refused(denial) => *denial,
        Stop::Held(Held { found, rule }) => {
            let detail = format!("{found}; this cannot be held");
            let reason = ReasonCode::DataBlocked;
            match exchange.refuse(direction, reason, rule, &found, detail) {
                Stop::Refused(denial) => *denial,
                Stop::Held(_) => {
                    exchange.denied(remit_core::Action::HttpRequest, reason, None, String::new())
                }
            }
        }
    }
}

fn unreadable(exchange: &Exchange, fault: Undecodable) -> Stop {
    unread(exchange, Direction::Output, fault)
}

fn unread(exchange: &Exchange, direction: Direction, fault: Undecodable) -> Stop {
    let nothing = Findings::default();
    exchange.refuse(direction, ReasonCode::BodyUnreadable, None, &nothing, fault.to_string())
}

fn decoded(codings: &[Coding], data: &[Bytes]) -> Result<Vec<u8>, Undecodable> {
    crate::body::decoded(codings, data)
}

/// Makes the headers fit for a body that is not the one that came (RFC 9110, 8.4 and 8.8.3;
/// RFC 9530): what spoke of the old one goes.
fn recode(headers: &mut HeaderMap, length: Option<u64>) {
    for name in [
        "content-encoding",
        "content-length",
        "content-md5",
        "digest",
        "content-digest",
        "repr-digest",
        "etag",
        "accept-ranges",
    ] {
        headers.remove(name);
    }
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// AWS Signature Version 4 covers the body; so does HTTP Message Signatures (RFC 9421) with a
/// digest.
fn is_signed(headers: &HeaderMap) -> bool {
    let aws = headers
        .get(header::AUTHORIZATION)
        .is_some_and(|value| value.as_bytes().starts_with(b"AWS4-HMAC-SHA256"));
    aws || headers.contains_key("signature-input")
}

/// How long a program that says nothing about a body's length may take for its next bytes.
const PATIENCE: Duration = Duration::from_secs(1);
const SHARE_PATIENCE: Duration = Duration::from_secs(30);
