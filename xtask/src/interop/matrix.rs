//! Which client is run on which transport.

use std::fmt;

/// An official client, or one of its two kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    Python,
    /// The asyncio kind of the Python client.
    PythonAio,
    JavaScript,
    Rust,
}

/// How bytes travel between client and emulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Plaintext,
    Tls,
    WebSocket,
    WebSocketTls,
}

impl Client {
    pub(crate) const ALL: [Self; 4] = [Self::Python, Self::PythonAio, Self::JavaScript, Self::Rust];

    /// The transports it can be brought to use. Rust asks for `wss` whatever it is told.
    pub(crate) fn transports(self) -> &'static [Transport] {
        match self {
            Self::Python | Self::PythonAio | Self::JavaScript => &Transport::ALL,
            Self::Rust => &Transport::COMMON,
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|client| client.to_string() == name)
    }

    /// Delay of what the emulator writes to it, in milliseconds. A send of the Rust client is lost
    /// when its outcome arrives before the client has noted that it waits for one, and a session
    /// that is ended at once brings its connection down; both need a server this close.
    pub(crate) fn latency(self) -> u32 {
        match self {
            Self::Python | Self::PythonAio | Self::JavaScript => 0,
            Self::Rust => 5,
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Python => "python",
            Self::PythonAio => "python-aio",
            Self::JavaScript => "javascript",
            Self::Rust => "rust",
        })
    }
}

impl Transport {
    pub(crate) const ALL: [Self; 4] =
        [Self::Plaintext, Self::Tls, Self::WebSocket, Self::WebSocketTls];
    /// Those that every client has.
    pub(crate) const COMMON: [Self; 3] = [Self::Plaintext, Self::Tls, Self::WebSocketTls];

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.to_string() == name)
    }

    /// The emulator's name for its listener, which is also that of the flag.
    pub(crate) fn listener(self) -> &'static str {
        match self {
            Self::Plaintext => "amqp",
            Self::Tls => "amqps",
            Self::WebSocket => "ws",
            Self::WebSocketTls => "wss",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plaintext => "plaintext",
            Self::Tls => "tls",
            Self::WebSocket => "websocket",
            Self::WebSocketTls => "websocket-tls",
        })
    }
}
