//! What `cargo xtask interop` is asked to run.

use super::matrix::{Client, Transport};
use crate::failure::Failure;

const USAGE: &str = "usage: cargo xtask interop [--quick] [--client python|python-aio|javascript|rust] \
                     [--transport plaintext|tls|websocket|websocket-tls] [--only PATTERN]";

/// The choices on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Python on plaintext, without the long cases.
    pub(crate) quick: bool,
    pub(crate) client: Option<Client>,
    pub(crate) transport: Option<Transport>,
    /// Only cases with this in their name.
    pub(crate) only: Option<String>,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, Failure> {
        let usage = || Failure::new(USAGE);
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().map(String::as_str).ok_or_else(usage);
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--client" => options.client = Some(Client::parse(value()?).ok_or_else(usage)?),
                "--transport" => {
                    options.transport = Some(Transport::parse(value()?).ok_or_else(usage)?);
                }
                "--only" => options.only = Some(value()?.to_owned()),
                _ => return Err(usage()),
            }
        }
        Ok(options)
    }

    /// Whether everything there is will run, so that what did not turn up is missing.
    pub(crate) fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// The pairs that are wanted.
    pub(crate) fn pairs(&self) -> Vec<(Client, Transport)> {
        let clients = Client::ALL.into_iter().filter(|client| {
            let is_quick = matches!(client, Client::Python | Client::PythonAio);
            self.client.is_none_or(|wanted| wanted == *client) && (!self.quick || is_quick)
        });
        let pairs =
            clients.flat_map(|client| client.transports().iter().map(move |t| (client, *t)));
        pairs
            .filter(|(_, transport)| {
                self.transport.is_none_or(|wanted| wanted == *transport)
                    && (!self.quick || *transport == Transport::Plaintext)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(line: &str) -> usize {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words).expect("a good line").pairs().len()
    }

    #[test]
    fn every_client_runs_on_every_transport_it_has() {
        assert_eq!(pairs(""), 15);
        assert_eq!(pairs("--quick"), 2);
        assert_eq!(pairs("--client rust"), 3);
        assert_eq!(pairs("--transport websocket"), 3);
        assert_eq!(pairs("--client javascript --transport tls --only key"), 1);
        assert_eq!(pairs("--client rust --transport websocket"), 0);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for line in ["--all", "--client", "--client go", "--transport quic", "--only"] {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert!(Options::parse(&words).is_err(), "{line}");
        }
    }
}
