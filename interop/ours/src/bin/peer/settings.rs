//! What both roles are told on the command line.

use std::time::Duration;

use eventhubs_amqp::engine::{Options, Sasl, SessionOptions};
use eventhubs_amqp::net::{AcceptOptions, ConnectionOptions, ReceiverOptions, SenderOptions};

use crate::Failure;

const USAGE: &str =
    "peer listen|dial [--address HOST:PORT] [--count N] [--small] [--user NAME:PASSWORD]";
/// The smallest frame the protocol allows.
const SMALL_FRAME: u32 = 512;
/// Transfer frames that may be in flight: fewer than one larger message has.
const SMALL_WINDOW: u32 = 4;
/// Deliveries that may be in flight.
const SMALL_PREFETCH: u32 = 3;
/// Far beyond what a loaded machine needs: a hang is a failure and not a hung run.
const SEND_TIMEOUT: Duration = Duration::from_secs(120);

/// Which end of the connection this program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Waits for the stranger.
    Listen,
    /// Dials the stranger.
    Dial,
}

/// The command line.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) role: Role,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Messages of a long run, each way.
    pub(crate) count: u32,
    /// Frames, windows and credit as small as they go.
    pub(crate) small: bool,
    /// Whom SASL PLAIN lets in, or who we are.
    pub(crate) user: Option<(String, String)>,
}

impl Settings {
    pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let role = match arguments.next().as_deref() {
            Some("listen") => Role::Listen,
            Some("dial") => Role::Dial,
            _ => return Err(USAGE.into()),
        };
        let (host, port) = ("127.0.0.1".to_owned(), 0);
        let mut read = Self { role, host, port, count: 10_000, small: false, user: None };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(USAGE);
            match argument.as_str() {
                "--address" => {
                    let address = value()?;
                    let (host, port) = address.rsplit_once(':').ok_or(USAGE)?;
                    (read.host, read.port) = (host.to_owned(), port.parse()?);
                }
                "--count" => read.count = value()?.parse()?,
                "--small" => read.small = true,
                "--user" => {
                    let (name, password) =
                        value()?.split_once(':').map(|(n, p)| (n.into(), p.into())).ok_or(USAGE)?;
                    read.user = Some((name, password));
                }
                _ => return Err(USAGE.into()),
            }
        }
        Ok(read)
    }

    fn frame(&self, mut engine: Options) -> Options {
        if self.small {
            engine.max_frame_size = SMALL_FRAME;
        }
        engine
    }

    /// Options of a connection we dial.
    pub(crate) fn dialler(&self, sasl: Sasl) -> ConnectionOptions {
        let engine = Options { sasl, ..Options::dialler("ours") };
        ConnectionOptions::with_engine(self.frame(engine))
    }

    /// Options of a connection we accept: anybody who is anonymous or brings no SASL layer, and
    /// the one user there is.
    pub(crate) fn listener(&self) -> AcceptOptions {
        let mut options = AcceptOptions::new("ours");
        options.engine = self.frame(options.engine);
        if let Some((name, password)) = self.user.clone() {
            options.engine.sasl = Sasl::Offer {
                mechanisms: vec!["PLAIN".into(), "ANONYMOUS".into()],
                allow_bare: true,
            };
            options = options.with_authentication(move |mechanism, response| match mechanism {
                "ANONYMOUS" => true,
                "PLAIN" => {
                    let mut fields = response.unwrap_or_default().split(|byte| *byte == 0).skip(1);
                    fields.next() == Some(name.as_bytes())
                        && fields.next() == Some(password.as_bytes())
                }
                _ => false,
            });
        }
        options
    }

    fn session(&self) -> SessionOptions {
        match self.small {
            true => SessionOptions { incoming_window: SMALL_WINDOW, ..SessionOptions::default() },
            false => SessionOptions::default(),
        }
    }

    /// Options of a sender, without an address.
    pub(crate) fn sender(&self) -> SenderOptions {
        let defaults = SenderOptions::default();
        SenderOptions { send_timeout: SEND_TIMEOUT, session: self.session(), ..defaults }
    }

    /// Options of a receiver, without an address.
    pub(crate) fn receiver(&self) -> ReceiverOptions {
        let defaults = ReceiverOptions::default();
        let prefetch = if self.small { SMALL_PREFETCH } else { defaults.prefetch };
        ReceiverOptions { prefetch, session: self.session(), ..defaults }
    }
}
