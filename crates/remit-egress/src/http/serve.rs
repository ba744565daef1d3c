//! Driving HTTP on the agent's side.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use remit_core::Denial;
use tokio::time::{Instant, sleep_until, timeout};

use super::{flow::Flow, gate::Gate, h2wire::Watched, payload::Payload, rest::Rest, wire::Wire};
use crate::{
    refusal::{self, Fault},
    tls::AgentStream,
};

/// Serves all requests of a connection that stands for one name and port.
pub(crate) async fn serve(flow: Arc<Flow>, stream: AgentStream) {
    if stream.is_h2() {
        return serve_h2(flow, stream).await;
    }
    let wire = Wire::new();
    let gate = Gate::new(stream, Arc::clone(&wire));
    let service = {
        let flow = Arc::clone(&flow);
        service_fn(move |request: Request<Incoming>| {
            let (flow, wire) = (Arc::clone(&flow), Arc::clone(&wire));
            // In a box: the connection has room for it all the time otherwise.
            Box::pin(async move { Ok::<_, Infallible>(flow.answer(request, Some(wire)).await) })
        })
    };
    if let Err(error) = h1().serve_connection(gate, service).with_upgrades().await
        && let Some(fault) = unread(&error)
    {
        drop(flow.refuse(fault));
    }
}

/// What the HTTP library refused by itself, though the strict reader had let it through.
fn unread(error: &hyper::Error) -> Option<Fault> {
    error.is_parse().then_some(Fault::malformed("head that cannot be read"))
}

async fn serve_h2(flow: Arc<Flow>, stream: AgentStream) {
    let wire = Wire::new();
    let stream = {
        let flow = Arc::clone(&flow);
        Watched::new(stream, move |fault| drop(flow.refuse(fault)))
    };
    let service = {
        let wire = Arc::clone(&wire);
        service_fn(move |request: Request<Incoming>| {
            wire.pass_head(false);
            let (under_way, _) = wire.take_up();
            let flow = Arc::clone(&flow);
            async move {
                let mut response = flow.answer(request, None).await;
                response.body_mut().until_its_end(Some(under_way));
                Ok::<_, Infallible>(response)
            }
        })
    };
    let mut serving = pin!(h2().serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = &mut serving => {}
        () = idle(&wire) => {
            serving.as_mut().graceful_shutdown();
            let _ = timeout(FAREWELL, serving).await;
        }
    }
}

/// Resolves when no stream has been under way for a while.
async fn idle(wire: &Wire) {
    loop {
        let since = wire.idle_since().unwrap_or_else(Instant::now);
        if since.elapsed() >= IDLE {
            return;
        }
        sleep_until(since + IDLE).await;
    }
}

/// Serves plain HTTP in which each request names its own host (an explicit proxy's absolute
/// form); `choose` finds the flow for a request. Returns what belongs on the trail of its end.
pub(crate) async fn serve_forward<C, F>(stream: AgentStream, choose: C) -> Option<Fault>
where
    C: Fn(Request<Incoming>, Arc<Wire>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Payload>> + Send + 'static,
{
    let wire = Wire::new();
    let gate = Gate::new(stream, Arc::clone(&wire));
    let choose = Arc::new(choose);
    let service = service_fn(move |request: Request<Incoming>| {
        let (choose, wire) = (Arc::clone(&choose), Arc::clone(&wire));
        Box::pin(async move { Ok::<_, Infallible>(choose(request, wire).await) })
    });
    let served = h1().serve_connection(gate, service).with_upgrades().await;
    served.err().as_ref().and_then(unread)
}

/// Answers every request with the same denial; nothing is sent anywhere.
pub(crate) async fn serve_refusal(denial: Denial, stream: AgentStream) {
    let denial = Arc::new(denial);
    let service = {
        let denial = Arc::clone(&denial);
        service_fn(move |request: Request<Incoming>| {
            let response = refusal::answer(&denial, refusal::Form::of(&request));
            Rest::of(&request).forget(request.into_body());
            async move { Ok::<_, Infallible>(response) }
        })
    };
    if stream.is_h2() {
        let _ = h2().serve_connection(TokioIo::new(stream), service).await;
    } else {
        let mut server = h1();
        server.keep_alive(false);
        let _ = server.serve_connection(TokioIo::new(stream), service).await;
    }
}

fn h1() -> http1::Builder {
    let mut server = http1::Builder::new();
    server
        .auto_date_header(false)
        .timer(TokioTimer::new())
        // The strict reader has its own deadline for heads.
        .header_read_timeout(None)
        .max_headers(256)
        .max_buf_size(128 << 10);
    server
}

fn h2() -> http2::Builder<TokioExecutor> {
    let mut server = http2::Builder::new(TokioExecutor::new());
    server
        .auto_date_header(false)
        .timer(TokioTimer::new())
        // A program that is gone without a word, a container say, does not answer.
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(FAREWELL)
        .max_concurrent_streams(100)
        // Each refused stream is a record; a program that makes many by mistake is none.
        .max_local_error_reset_streams(Some(64))
        .max_header_list_size(96 << 10)
        // Programs are near: small windows cost them nothing, and bound what uploads that the
        // server does not take can occupy.
        .initial_stream_window_size(128 << 10)
        .initial_connection_window_size(256 << 10)
        .max_send_buf_size(64 << 10);
    server
}

/// A connection without a request under way ends.
pub(super) const IDLE: Duration = Duration::from_secs(600);
const KEEP_ALIVE: Duration = Duration::from_secs(60);
const FAREWELL: Duration = Duration::from_secs(20);
