//! Everything the emulator says over HTTP: the live view, hub management in ATOM, and the control
//! API.
//!
//! [`serve`] speaks HTTP/1.1 on one stream and bounds what a peer can make it hold. What is
//! answered is decided over whole requests: [`control`] and [`atom`] read one into a typed
//! command, do it, and write what came of it.

mod atom;
mod control;
mod markup;
mod page;
mod problem;
mod server;
mod stall;
mod state;
mod target;

pub(crate) use server::serve;

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{self, HeaderValue};
use tokio::sync::watch;

use crate::config::SasKey;
use crate::doors::listener::{Listener, ListenerKind};
use crate::emulator;
use crate::namespace::Namespace;

/// What the body of a management request describes, for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(crate) fn shown_description(body: &[u8]) -> Result<String, String> {
    match atom::body::parse(body) {
        Ok(description) => Ok(format!("{description:?}")),
        Err(error) => Err(error.to_string()),
    }
}

/// A whole request.
pub(crate) type Request = hyper::Request<Bytes>;
/// A whole response.
pub(crate) type Response = hyper::Response<Bytes>;

/// What a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Site {
    /// The live view at `/`, and hub management everywhere else.
    Hubs {
        /// How the client got here, for the links in answers.
        scheme: &'static str,
    },
    /// The control API.
    Control,
}

impl Site {
    fn of(kind: ListenerKind) -> Self {
        match kind {
            ListenerKind::Control => Self::Control,
            ListenerKind::HttpTls => Self::Hubs { scheme: "https" },
            _ => Self::Hubs { scheme: "http" },
        }
    }
}

/// What requests are answered from.
#[derive(Debug, Clone)]
pub(crate) struct Office {
    pub(crate) namespace: Arc<Namespace>,
    /// Whether the emulator is shutting down.
    pub(crate) stopping: watch::Receiver<bool>,
    pub(crate) greeting: Arc<Greeting>,
}

impl Office {
    /// Returns when the emulator begins to shut down.
    async fn stopped(&self) {
        // An error means that the emulator is gone, which is the same.
        let _ = self.stopping.clone().wait_for(|stopping| *stopping).await;
    }
}

/// What somebody is told who does not know how to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// For the first key, which is not shown.
    connection_string: String,
    /// What is listened on: kind and address.
    listeners: Vec<String>,
}

impl Greeting {
    pub(crate) fn new(listeners: &[Listener], keys: &[SasKey]) -> Self {
        let name = keys.first().map_or("", |key| key.name.as_str());
        Self {
            connection_string: emulator::connection_string(listeners, name, "***"),
            listeners: listeners
                .iter()
                .map(|one| format!("{}={}", one.kind, one.address))
                .collect(),
        }
    }
}

/// Answers one request.
async fn answer(office: &Office, site: Site, request: Request) -> Response {
    match site {
        Site::Control => control::answer(office, request).await,
        // A browser brings no token; whoever brings one wants the namespace itself.
        Site::Hubs { .. }
            if request.uri().path() == "/"
                && !request.headers().contains_key(header::AUTHORIZATION) =>
        {
            page::answer(office, &request).await
        }
        Site::Hubs { scheme } => atom::answer(office, scheme, &request),
    }
}

/// A response with a body of one kind. Nothing here may be kept or guessed at by a browser.
fn response(status: u16, kind: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() =
        hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
pub(crate) mod tests;
