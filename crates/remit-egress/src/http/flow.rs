//! One request: named, judged, decided, sent; or answered with why not.

use std::{io, sync::Arc, time::Duration};

use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header, uri};
use hyper::body::{Body as _, Incoming};
use remit_core::{AccessRequest, Action, Denial, Effect, ModelApi, Permit, ReasonCode, Resource};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    authority::authority,
    headers, inspected,
    path::{CanonicalPath, canonical},
    payload::{Payload, Tail},
    rest::Rest,
    upgrade,
    wire::Wire,
};
use crate::{
    engine::{Admission, Engine},
    live::{Effecting, Registered},
    refusal::{self, Fault},
    upstream::{PooledSender, Target},
};

/// All requests of one connection towards one name and port.
pub(crate) struct Flow {
    pub(crate) engine: Arc<Engine>,
    pub(crate) target: Target,
    pub(crate) registered: Registered,
    /// The connection is (or the URL says) TLS.
    pub(crate) tls: bool,
    /// The model API that the host speaks.
    pub(crate) model: Option<ModelApi>,
    host_header: HeaderValue,
    uri_authority: Option<uri::Authority>,
}

/// How a request is sent.
pub(super) struct Sending {
    /// The program speaks HTTP/2: so may the server.
    pub(super) h2: bool,
    /// The body's length is not known.
    pub(super) chunked: bool,
    /// The request once more, where it may be asked again.
    pub(super) spare: Option<Request<Payload>>,
    /// What becomes of the body when there is no connection to send it on.
    pub(super) rest: Rest,
}

/// A request that may be sent.
struct Permitted {
    request: AccessRequest,
    permit: Permit,
}

impl Flow {
    pub(crate) fn new(engine: Arc<Engine>, admission: Admission, tls: bool) -> Self {
        let Admission { target, registered, model, .. } = admission;
        let default = if tls { 443 } else { 80 };
        let mut text = target.host.for_authority();
        if target.port != default {
            text.push_str(&format!(":{}", target.port));
        }
        let host_header =
            HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""));
        let uri_authority = text.parse().ok();
        Self { engine, target, registered, tls, model, host_header, uri_authority }
    }

    /// Answers one request. `wire` is there on HTTP/1.
    pub(crate) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        wire: Option<Arc<Wire>>,
    ) -> Response<Payload> {
        let (under_way, fault) = wire.as_ref().map(|wire| wire.take_up()).unzip();
        let mut response = self.answer_taken(request, wire, fault.flatten()).await;
        response.body_mut().until_its_end(under_way);
        response
    }

    /// Answers a request that was taken up already.
    pub(crate) async fn answer_taken(
        self: Arc<Self>,
        request: Request<Incoming>,
        wire: Option<Arc<Wire>>,
        fault: Option<Fault>,
    ) -> Response<Payload> {
        let version = request.version();
        let form = refusal::Form::of(&request);
        let upgrading = request.headers().contains_key(header::UPGRADE)
            && wire.is_some()
            && upgrade::is_asked(&request);
        let answered = match fault {
            Some(fault) => Err(self.refuse(fault)),
            None => Arc::clone(&self).forward(request, wire.as_ref(), upgrading).await,
        };
        let mut response = match answered {
            Ok(response) => response,
            Err(denial) => {
                // A fault inside the body looks like the server's failure; say what it was.
                let broken = wire.as_ref().and_then(|wire| wire.take_broken());
                let denial = broken.map_or(denial, |fault| self.refuse(fault));
                let mut response = refusal::answer(&denial, form);
                if version != Version::HTTP_2 && refusal::status(denial.reason).as_u16() == 400 {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                response
            }
        };
        if upgrading
            && let Some(wire) = &wire
            && response.status() != StatusCode::SWITCHING_PROTOCOLS
        {
            wire.settle_upgrade(false);
        }
        *response.version_mut() =
            if version == Version::HTTP_2 { Version::HTTP_2 } else { Version::HTTP_11 };
        response
    }

    async fn forward(
        self: Arc<Self>,
        request: Request<Incoming>,
        wire: Option<&Arc<Wire>>,
        upgrading: bool,
    ) -> Result<Response<Payload>, Denial> {
        let h2 = request.version() == Version::HTTP_2;
        let share = if h2 { Some(self.share().await?) } else { None };
        let rest = Rest::of(&request);
        let Permitted { request: question, permit } = match self.decide(&request).await {
            Ok(permitted) => permitted,
            Err(denial) => {
                rest.forget(request.into_body());
                return Err(denial);
            }
        };
        let inspection = self.engine.inspection.clone();
        let inspected = inspection.map(|inspection| (inspection, question.clone()));
        let mut effecting = self.registered.effecting(question, &permit);
        effecting.share = share;
        let effecting = Arc::new(effecting);
        self.registered.live.count_permitted();
        if let Some((inspection, question)) = inspected {
            let way = inspected::Way { flow: self, inspection, effecting };
            return way.forward(request, wire.filter(|_| upgrading), question).await;
        }
        if upgrading && let Some(wire) = wire {
            return upgrade::forward(self, request, Arc::clone(wire), effecting, None).await;
        }
        let (mut parts, body) = request.into_parts();
        headers::for_server(&mut parts.headers);
        let chunked = !body.is_end_stream() && body.size_hint().exact().is_none();
        // Whoever asks twice for the same asks for nothing more (RFC 9110, 9.2.2).
        let spare = (parts.method.is_idempotent() && body.is_end_stream()).then(|| copy(&parts));
        let request = Request::from_parts(parts, Payload::request(body, &effecting));
        let sending = Sending { h2, chunked, spare, rest };
        let (response, tail) = self.send(request, sending, effecting).await?;
        Ok(respond(response, tail))
    }

    /// Sends the request, and gives the answer with what its body must hold on to.
    pub(super) async fn send(
        &self,
        mut request: Request<Payload>,
        sending: Sending,
        effecting: Arc<Effecting>,
    ) -> Result<(Response<Incoming>, Tail), Denial> {
        let Sending { h2, chunked, mut spare, rest } = sending;
        let h2 = h2.then(|| self.registered.live.id());
        let (mut tries, mut anew) = (MOST_TRIES, false);
        loop {
            let engine = &self.engine;
            let (pool, dialer) = (&engine.pool, &engine.dialer);
            let connected = match anew {
                true => {
                    pool.fresh(dialer, &self.target, self.tls, h2).await.map(|new| (new, false))
                }
                false => pool.sender(dialer, &self.target, self.tls, h2).await,
            };
            let (sender, kept) = match connected {
                Ok(connected) => connected,
                Err(denial) => {
                    rest.forget(request.into_body());
                    return Err(denial);
                }
            };
            let (error, unsent) = match sender {
                PooledSender::H1(mut sender, key) => {
                    self.address(&mut request, Version::HTTP_11)?;
                    if chunked {
                        // Without it a body is not sent with methods that rarely have one.
                        let chunked = HeaderValue::from_static("chunked");
                        request.headers_mut().insert(header::TRANSFER_ENCODING, chunked);
                    }
                    match sender.try_send_request(request).await {
                        // What follows would be no HTTP, towards an agent that goes on with it.
                        Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                            return Err(engine.dialer.failed(&self.target, "101 unasked"));
                        }
                        Ok(response) => {
                            let kept = Some((Arc::clone(engine), sender, key));
                            let tail = Tail { effecting: Some(effecting), kept, ..Tail::default() };
                            return Ok((response, tail));
                        }
                        Err(mut error) => (error.take_message(), error.into_error()),
                    }
                }
                PooledSender::H2(mut sender, lease) => {
                    self.address(&mut request, Version::HTTP_2)?;
                    request.headers_mut().remove(header::TRANSFER_ENCODING);
                    request.body_mut().on(&lease);
                    match sender.try_send_request(request).await {
                        Ok(response) => {
                            let (effecting, lease) = (Some(effecting), Some(lease));
                            let tail = Tail { effecting, lease, ..Tail::default() };
                            return Ok((response, tail));
                        }
                        Err(mut error) => (error.take_message(), error.into_error()),
                    }
                }
            };
            // A kept connection that the server had closed: nothing was sent, so try anew.
            tries = tries.saturating_sub(1);
            match (error, spare.take_if(|_| kept && was_gone(&unsent))) {
                (Some(again), _) if tries > 0 => request = again,
                // One that it closed while the request was on its way: no answer came.
                (None, Some(again)) => {
                    request = again;
                    anew = true;
                }
                _ => return Err(engine.dialer.failed(&self.target, &unsent.to_string())),
            }
        }
    }

    /// A stream's share of what may be under way at once.
    async fn share(&self) -> Result<OwnedSemaphorePermit, Denial> {
        let streams = Arc::clone(&self.engine.streams);
        match tokio::time::timeout(SHARE_PATIENCE, streams.acquire_owned()).await {
            Ok(Ok(share)) => Ok(share),
            _ => Err(self.refuse(Fault::new(ReasonCode::LimitReached, "too many streams at once"))),
        }
    }

    /// Judges and decides; a permit is recorded.
    async fn decide(&self, request: &Request<Incoming>) -> Result<Permitted, Denial> {
        let default = if self.tls { 443 } else { 80 };
        if *request.method() == Method::CONNECT {
            return Err(self.refuse(Fault::malformed("CONNECT inside a connection")));
        }
        let uri = request.uri();
        authority(uri, request.headers(), &self.target.host, self.target.port, default)
            .map_err(|fault| self.refuse(fault))?;
        if let Some(scheme) = uri.scheme_str()
            && scheme != if self.tls { "https" } else { "http" }
        {
            return Err(self.refuse(Fault::malformed("scheme is not the connection's")));
        }
        if request.version() == Version::HTTP_2 {
            headers::check_framing(request.headers()).map_err(|fault| self.refuse(fault))?;
        }
        check_query(uri).map_err(|fault| self.refuse(fault))?;
        if uri.path() == "*" && *request.method() != Method::OPTIONS {
            return Err(self.refuse(Fault::malformed("target is not a path")));
        }
        let path = canonical(uri.path()).map_err(|fault| self.refuse(fault))?;
        if !request.method().as_str().bytes().all(|byte| !byte.is_ascii_lowercase()) {
            return Err(self.refuse(Fault::malformed("method is not an upper-case token")));
        }
        if headers::overrides(request.headers()) && self.is_restricted() {
            let detail = "header that overrides the method or path";
            return Err(self.refuse(Fault::malformed(detail)));
        }
        // Some servers skip such a body, and then read it as the next request (RFC 9110, 9.3.1).
        let bare = matches!(*request.method(), Method::GET | Method::HEAD);
        if bare && !request.body().is_end_stream() && self.is_restricted() {
            return Err(self.refuse(Fault::malformed("GET or HEAD with a body")));
        }
        let CanonicalPath { path, readings, overlong } = path;
        if overlong && self.is_restricted() {
            let detail = "overlong UTF-8 in the path";
            return Err(self.refuse(Fault::new(ReasonCode::AmbiguousPath, detail)));
        }
        let mut question = self.question(request.method(), path);
        question.context.detail = Some(format!("{:?}", request.version()));
        for reading in readings {
            let other = self.question(request.method(), reading);
            let mine = self.engine.guard.peek(&question).effect;
            // Where the path itself is refused, that refusal explains more.
            if mine == Effect::Permit && self.engine.guard.peek(&other).effect != Effect::Permit {
                let mut question = question;
                question.context.detail = Some("another reading of it is not permitted".into());
                self.registered.live.count_refused();
                return Err(self.engine.guard.refuse(&question, ReasonCode::AmbiguousPath));
            }
        }
        match self.engine.guard.check_async(question.clone()).await {
            Ok(permit) => Ok(Permitted { request: question, permit }),
            Err(denial) => {
                self.registered.live.count_refused();
                Err(denial)
            }
        }
    }

    /// Whether not every request to the host is permitted.
    fn is_restricted(&self) -> bool {
        self.engine.guard.peek(&self.target.any_request()).effect != Effect::Permit
    }

    fn question(&self, method: &Method, path: String) -> AccessRequest {
        let mut question = AccessRequest::new(
            Action::HttpRequest,
            Resource::Http {
                host: self.target.host.clone(),
                port: self.target.port,
                method: method.as_str().to_owned(),
                path,
            },
        );
        // A person's yes to the connection for once is a yes to what it was opened for.
        question.correlation = Some(self.target.correlation.clone());
        question
    }

    /// Writes the request's name anew, in the form of the version that is spoken to the server.
    pub(crate) fn address<B>(
        &self,
        request: &mut Request<B>,
        version: Version,
    ) -> Result<(), Denial> {
        headers::place_host(request.headers_mut(), self.host_header.clone(), version);
        *request.version_mut() = version;
        let uri = std::mem::take(request.uri_mut());
        let mut parts = uri::Parts::default();
        parts.path_and_query = uri.into_parts().path_and_query;
        if version == Version::HTTP_2 {
            parts.scheme = Some(if self.tls { uri::Scheme::HTTPS } else { uri::Scheme::HTTP });
            parts.authority = self.uri_authority.clone();
        }
        if parts.path_and_query.is_none() {
            parts.path_and_query = Some(uri::PathAndQuery::from_static("/"));
        }
        *request.uri_mut() = Uri::from_parts(parts)
            .map_err(|_| self.refuse(Fault::malformed("target cannot be written anew")))?;
        Ok(())
    }

    /// Records a refusal of this point's own.
    pub(crate) fn refuse(&self, fault: Fault) -> Denial {
        let mut question = self.target.question(Some(fault.detail.to_owned()));
        question.action = Action::HttpRequest;
        self.registered.live.count_refused();
        self.engine.guard.refuse(&question, fault.reason)
    }
}

/// Connections tried for one request.
const MOST_TRIES: usize = 6;
const SHARE_PATIENCE: Duration = Duration::from_secs(30);

/// The request once more, without a body.
pub(super) fn copy(parts: &http::request::Parts) -> Request<Payload> {
    let mut request = Request::new(Payload::Full(None));
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    *request.headers_mut() = parts.headers.clone();
    request
}

/// Whether the connection ended instead of answering.
fn was_gone(error: &hyper::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    let mut cut = error.is_incomplete_message() || error.is_closed() || error.is_canceled();
    while let Some(inner) = cause {
        cut |= inner.downcast_ref::<io::Error>().is_some_and(|error| {
            use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
            let kinds = [BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof];
            kinds.contains(&error.kind())
        });
        cause = inner.source();
    }
    cut
}

/// Bytes that no URI may hold. The strict reader sees to it on HTTP/1; in HTTP/2 a target is any
/// text, which must not become two lines or two targets in the server's HTTP/1.
fn check_query(uri: &Uri) -> Result<(), Fault> {
    let sound = |byte: u8| matches!(byte, 0x21..=0x7e) && byte != b'#';
    match uri.query() {
        Some(query) if !query.bytes().all(sound) => Err(Fault::new(
            ReasonCode::AmbiguousPath,
            "byte in the target that must be percent-encoded",
        )),
        _ => Ok(()),
    }
}

fn respond(response: Response<Incoming>, tail: Tail) -> Response<Payload> {
    let (mut parts, body) = response.into_parts();
    headers::for_agent(&mut parts.headers);
    Response::from_parts(parts, Payload::Stream { body, tail: Some(Box::new(tail)) })
}
