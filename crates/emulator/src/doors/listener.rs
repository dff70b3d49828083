//! Where an emulator listens, and what it speaks there.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::Config;

/// What is spoken on a listening address.
///
/// ```
/// use eventhubs_emulator::ListenerKind;
///
/// assert_eq!(ListenerKind::WebSocketTls.to_string(), "wss");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ListenerKind {
    /// AMQP on TCP, as on port 5672.
    Plain,
    /// AMQP inside TLS, as on port 5671: TLS comes first, there is no header of AMQP's before it.
    /// Needs feature `tls`.
    Tls,
    /// AMQP over WebSocket without TLS. Needs feature `ws`.
    WebSocket,
    /// AMQP over WebSocket inside TLS, as on port 443. Needs features `tls` and `ws`.
    WebSocketTls,
    /// HTTP: the live view at `/`, and hub management in ATOM. Needs feature `http`.
    Http,
    /// The same inside TLS. Needs features `tls` and `http`.
    HttpTls,
    /// The control API, HTTP with JSON. Whoever reaches it owns the emulator. Needs feature
    /// `http`.
    Control,
}

impl ListenerKind {
    /// What the kind is called on the command line and in the binary's `ready` line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "amqp",
            Self::Tls => "amqps",
            Self::WebSocket => "ws",
            Self::WebSocketTls => "wss",
            Self::Http => "http",
            Self::HttpTls => "https",
            Self::Control => "control",
        }
    }

    /// Whether clients have to trust a certificate.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Tls | Self::WebSocketTls | Self::HttpTls)
    }

    /// Whether AMQP is spoken there, over whatever.
    pub fn is_amqp(self) -> bool {
        !matches!(self, Self::Http | Self::HttpTls | Self::Control)
    }

    /// The feature without which this build cannot serve the kind.
    pub(crate) fn missing_feature(self) -> Option<&'static str> {
        if self.is_tls() && !cfg!(feature = "tls") {
            return Some("tls");
        }
        match self {
            Self::WebSocket | Self::WebSocketTls if !cfg!(feature = "ws") => Some("ws"),
            other if !other.is_amqp() && !cfg!(feature = "http") => Some("http"),
            _ => None,
        }
    }
}

impl fmt::Display for ListenerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An address to listen on, or one that is listened on.
///
/// ```
/// use eventhubs_emulator::{Config, Listener, ListenerKind};
///
/// let config = Config::default()
///     .in_memory()
///     .with_listener(Listener::localhost(ListenerKind::Plain, 0))
///     .with_listener(Listener::new(ListenerKind::WebSocket, "127.0.0.1:0".parse()?));
/// assert!(config.listeners[0].dual_stack);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Listener {
    /// What is spoken.
    pub kind: ListenerKind,
    /// The address; port 0 takes a free port.
    pub address: SocketAddr,
    /// Whether the same port is taken on the other family's counterpart of the address too, where
    /// there is one: `127.0.0.1` and `::1`, `0.0.0.0` and `::`. A family that this machine does
    /// not have is left out. Default: for wildcards.
    pub dual_stack: bool,
}

impl Listener {
    /// A listener on `address`, and on both families when it is a wildcard.
    pub fn new(kind: ListenerKind, address: SocketAddr) -> Self {
        Self { kind, address, dual_stack: address.ip().is_unspecified() }
    }

    /// A listener on what `localhost` stands for: `127.0.0.1` and `::1`, with one port.
    pub fn localhost(kind: ListenerKind, port: u16) -> Self {
        Self { kind, address: (Ipv4Addr::LOCALHOST, port).into(), dual_stack: true }
    }

    /// The same place in the other family, if it is wanted and there is one.
    pub(crate) fn counterpart(&self) -> Option<IpAddr> {
        let all: [(IpAddr, IpAddr); 2] = [
            (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()),
            (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()),
        ];
        let own = self.address.ip();
        let other = all.into_iter().find_map(|(four, six)| match own {
            ip if ip == four => Some(six),
            ip if ip == six => Some(four),
            _ => None,
        });
        other.filter(|_| self.dual_stack)
    }

    /// An address that a client on this machine can dial: wildcards become loopback.
    pub(crate) fn reachable(&self) -> SocketAddr {
        let ip = match self.address.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        SocketAddr::new(ip, self.address.port())
    }
}

impl Config {
    /// Replaces the addresses to listen on for plaintext AMQP; other listeners stay.
    #[must_use]
    pub fn with_listen(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.listeners.retain(|listener| listener.kind != ListenerKind::Plain);
        let plain = addresses.into_iter().map(|one| Listener::new(ListenerKind::Plain, one));
        self.listeners.extend(plain);
        self
    }

    /// Adds a listener.
    #[must_use]
    pub fn with_listener(mut self, listener: Listener) -> Self {
        self.listeners.push(listener);
        self
    }

    /// Adds an address to listen on for AMQP inside TLS; port 0 takes a free port.
    #[must_use]
    pub fn with_tls(self, address: SocketAddr) -> Self {
        self.with_listener(Listener::new(ListenerKind::Tls, address))
    }

    /// Adds an address to listen on for AMQP over WebSocket; port 0 takes a free port.
    #[must_use]
    pub fn with_web_socket(self, address: SocketAddr) -> Self {
        self.with_listener(Listener::new(ListenerKind::WebSocket, address))
    }

    /// Adds an address to listen on for AMQP over WebSocket inside TLS; port 0 takes a free port.
    #[must_use]
    pub fn with_web_socket_tls(self, address: SocketAddr) -> Self {
        self.with_listener(Listener::new(ListenerKind::WebSocketTls, address))
    }

    /// Adds an address to listen on for the live view and hub management; port 0 takes a free
    /// port.
    #[must_use]
    pub fn with_http(self, address: SocketAddr) -> Self {
        self.with_listener(Listener::new(ListenerKind::Http, address))
    }

    /// [`with_http`](Self::with_http), inside TLS.
    #[must_use]
    pub fn with_https(self, address: SocketAddr) -> Self {
        self.with_listener(Listener::new(ListenerKind::HttpTls, address))
    }

    /// Adds an address to listen on for the control API; port 0 takes a free port.
    #[must_use]
    pub fn with_control(self, address: SocketAddr) -> Self {
        self.with_listener(Listener::new(ListenerKind::Control, address))
    }

    /// No sockets, until listeners are added: the emulator is reached through
    /// [`Emulator::connect_memory`](crate::Emulator::connect_memory).
    #[must_use]
    pub fn in_memory(mut self) -> Self {
        self.listeners.clear();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(address: &str) -> Listener {
        Listener::new(ListenerKind::Plain, address.parse().unwrap())
    }

    #[test]
    fn wildcards_are_dialled_on_loopback() {
        let text = |address: &str| listener(address).reachable().to_string();
        assert_eq!(text("0.0.0.0:5"), "127.0.0.1:5");
        assert_eq!(text("[::]:5"), "[::1]:5");
        assert_eq!(text("10.0.0.1:5"), "10.0.0.1:5");
    }

    #[test]
    fn wildcards_and_localhost_are_both_families() {
        let other = |listener: Listener| listener.counterpart().map(|ip| ip.to_string());
        assert_eq!(other(listener("0.0.0.0:1")).as_deref(), Some("::"));
        assert_eq!(other(listener("[::]:1")).as_deref(), Some("0.0.0.0"));
        assert_eq!(other(Listener::localhost(ListenerKind::Tls, 1)).as_deref(), Some("::1"));
        assert_eq!(other(listener("127.0.0.1:1")), None, "an address in numbers is one address");
        assert_eq!(other(Listener { dual_stack: true, ..listener("10.0.0.1:1") }), None);
    }

    #[test]
    fn plaintext_is_replaced_and_the_rest_added() {
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let config = Config::default()
            .with_tls(address(1))
            .with_listen([address(2), address(3)])
            .with_web_socket(address(4))
            .with_web_socket_tls(address(5));
        let text = |one: &Listener| format!("{}:{}", one.kind, one.address.port());
        let all: Vec<_> = config.listeners.iter().map(text).collect();
        assert_eq!(all, ["amqps:1", "amqp:2", "amqp:3", "ws:4", "wss:5"]);
        assert!(config.in_memory().listeners.is_empty());
    }
}
