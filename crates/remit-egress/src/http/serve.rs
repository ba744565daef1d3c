//! Driving HTTP on the agent's side.

use std::{convert::Infallible, sync::Arc};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use remit_core::Denial;

use super::{flow::Flow, gate::Gate, payload::Payload, wire::Wire};
use crate::{refusal, tls::AgentStream};

/// Serves all requests of a connection that stands for one name and port.
pub(crate) async fn serve(flow: Arc<Flow>, stream: AgentStream) {
    if stream.is_h2() {
        let service = service_fn(move |request: Request<Incoming>| {
            let flow = Arc::clone(&flow);
            async move { Ok::<_, Infallible>(flow.answer(request, None).await) }
        });
        let _ = h2().serve_connection(TokioIo::new(stream), service).await;
        return;
    }
    let wire = Arc::new(Wire::default());
    let gate = Gate::new(stream, Arc::clone(&wire));
    let service = service_fn(move |request: Request<Incoming>| {
        let (flow, wire) = (Arc::clone(&flow), Arc::clone(&wire));
        async move { Ok::<_, Infallible>(flow.answer(request, Some(wire)).await) }
    });
    let _ = h1().serve_connection(gate, service).with_upgrades().await;
}

/// Serves plain HTTP in which each request names its own host (an explicit proxy's absolute
/// form); `choose` finds the flow for a request.
pub(crate) async fn serve_forward<C, F>(stream: AgentStream, choose: C)
where
    C: Fn(Request<Incoming>, Arc<Wire>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Payload>> + Send + 'static,
{
    let wire = Arc::new(Wire::default());
    let gate = Gate::new(stream, Arc::clone(&wire));
    let choose = Arc::new(choose);
    let service = service_fn(move |request: Request<Incoming>| {
        let (choose, wire) = (Arc::clone(&choose), Arc::clone(&wire));
        async move { Ok::<_, Infallible>(choose(request, wire).await) }
    });
    let _ = h1().serve_connection(gate, service).with_upgrades().await;
}

/// Answers every request with the same denial; nothing is sent anywhere.
pub(crate) async fn serve_refusal(denial: Denial, stream: AgentStream) {
    let denial = Arc::new(denial);
    let service = {
        let denial = Arc::clone(&denial);
        service_fn(move |_: Request<Incoming>| {
            let response = refusal::response(&denial);
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
        .max_buf_size(256 << 10);
    server
}

fn h2() -> http2::Builder<TokioExecutor> {
    let mut server = http2::Builder::new(TokioExecutor::new());
    server
        .auto_date_header(false)
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .max_header_list_size(96 << 10)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20);
    server
}
