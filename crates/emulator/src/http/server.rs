//! HTTP/1.1 on one stream, with bounds on everything a peer may send, and a time for it.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use eventhubs_amqp::net::Stream;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::timeout;

use super::stall::Stalling;
use super::{Office, Request, Response, Site, answer, atom, problem::Problem};
use crate::doors::listener::ListenerKind;

/// Time for a request's head, the wait for it on a kept connection included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for a request's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Header fields of a request.
const HEADERS_MAX: usize = 64;
/// Bytes of a body on the control port: an event to store, and room to spare.
const CONTROL_BYTES_MAX: usize = 4 << 20;
/// Bytes of a body for hub management.
const HUBS_BYTES_MAX: usize = 64 * 1024;

/// Serves one connection until the peer ends it, breaks a rule, or the emulator stops; then the
/// exchange under way is finished first.
///
/// Cancel safety: dropping the future drops the stream.
pub(crate) async fn serve<S: Stream>(stream: S, kind: ListenerKind, office: Office) {
    let site = Site::of(kind);
    let office = &office;
    let service = service_fn(|request| async move {
        Ok::<_, Infallible>(exchange(office, site, request).await.map(Full::new))
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let stream = TokioIo::new(Stalling::new(stream));
    let mut connection = pin!(builder.serve_connection(stream, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = office.stopped() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}

/// One request and its response.
async fn exchange(office: &Office, site: Site, request: hyper::Request<Incoming>) -> Response {
    let (head, body) = request.into_parts();
    let most = match site {
        Site::Control => CONTROL_BYTES_MAX,
        Site::Hubs { .. } => HUBS_BYTES_MAX,
    };
    if body.size_hint().lower() > most as u64 {
        return too_large(site, most);
    }
    let refused = match timeout(BODY_TIMEOUT, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => {
            let request = Request::from_parts(head, body.to_bytes());
            return tokio::select! {
                response = answer(office, site, request) => response,
                () = office.stopped() => {
                    refusal(site, 503, "stopping", "The emulator is shutting down.")
                }
            };
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => return too_large(site, most),
        Ok(Err(error)) => (400, "bad-request", format!("The body cannot be read: {error}.")),
        Err(_) => (408, "timeout", format!("The body took longer than {BODY_TIMEOUT:?}.")),
    };
    let (status, code, text) = refused;
    refusal(site, status, code, &text)
}

fn too_large(site: Site, most: usize) -> Response {
    refusal(site, 413, "too-large", &format!("The body is larger than {most} bytes."))
}

/// A refusal in the site's own form.
fn refusal(site: Site, status: u16, code: &'static str, text: &str) -> Response {
    match site {
        Site::Control => Problem::new(status, code, text).response(),
        Site::Hubs { .. } => atom::error(status, text),
    }
}
