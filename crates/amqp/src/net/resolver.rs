//! Names to addresses.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

/// What [`Resolver::resolve`] gives.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// Turns the name of a host into addresses, in place of the runtime's resolver: a private zone, a
/// fixed address for a private endpoint, a cache of one's own.
///
/// It is asked anew for every connect, so that a name that leads elsewhere is followed with the next
/// connection; nothing here keeps an answer. Hosts that are addresses already are not asked about.
///
/// ```
/// use std::net::SocketAddr;
/// use std::sync::Arc;
///
/// use eventhubs_amqp::net::{Endpoint, Resolver, Resolving};
///
/// #[derive(Debug)]
/// struct PrivateEndpoint;
///
/// impl Resolver for PrivateEndpoint {
///     fn resolve<'a>(&'a self, _host: &'a str, port: u16) -> Resolving<'a> {
///         Box::pin(async move { Ok(vec![SocketAddr::from(([10, 0, 0, 4], port))]) })
///     }
/// }
///
/// let endpoint = Endpoint::plain("my-namespace.servicebus.windows.net", 5671)
///     .with_resolver(Arc::new(PrivateEndpoint));
/// # let _ = endpoint;
/// ```
pub trait Resolver: fmt::Debug + Send + Sync {
    /// The addresses of `host`, the best first, each with `port`. Dropped when it takes longer than
    /// the connect time-out.
    ///
    /// # Errors
    ///
    /// One of kind [`io::ErrorKind::NotFound`], or no address at all, says that the name does not
    /// exist; any other that nobody could tell.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a>;
}

/// The runtime's resolver, which is the system's on a thread of its own.
#[derive(Debug)]
pub(crate) struct System;

impl Resolver for System {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        Box::pin(async move {
            match tokio::net::lookup_host((host, port)).await {
                Ok(addresses) => Ok(addresses.collect()),
                Err(error) if says_unknown(&error) => {
                    Err(io::Error::new(io::ErrorKind::NotFound, error.to_string()))
                }
                Err(error) => Err(error),
            }
        })
    }
}

/// What systems say of a name that does not exist, or has no address. The standard library keeps the
/// number of `getaddrinfo` to itself, except on Windows.
const UNKNOWN: [&str; 4] = [
    "Name or service not known",
    "No address associated with hostname",
    "Name does not resolve",
    "nodename nor servname provided, or not known",
];

/// `WSAHOST_NOT_FOUND` and `WSANO_DATA`.
const UNKNOWN_CODES: [i32; 2] = [11_001, 11_004];

fn says_unknown(error: &io::Error) -> bool {
    let text = error.to_string();
    error.raw_os_error().is_some_and(|code| UNKNOWN_CODES.contains(&code))
        || UNKNOWN.iter().any(|unknown| text.contains(unknown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_told_from_a_resolver_without_an_answer() {
        let lookup = "failed to lookup address information: ";
        for text in UNKNOWN {
            assert!(says_unknown(&io::Error::other(format!("{lookup}{text}"))));
        }
        for text in ["Temporary failure in name resolution", "Try again", "System error"] {
            assert!(!says_unknown(&io::Error::other(format!("{lookup}{text}"))), "{text}");
        }
    }
}
