//! Listening sockets.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::listener::Listener;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Segment size of accepted connections. The Python client reads this option and sets it back;
/// above 32 767, as on loopback, the kernel refuses that and the client fails to connect.
const MAX_SEGMENT: u32 = 16_384;

/// Free ports that are tried until one is free in both families.
const PORTS_TRIED: usize = 16;

/// The sockets of one listener.
#[derive(Debug)]
pub(crate) struct Bound {
    /// As configured, with the port that was taken and whether both families were.
    pub(crate) listener: Listener,
    pub(crate) sockets: Vec<TcpListener>,
}

/// Takes the address of `listener`, in both families if it wants them. Must be called within a
/// runtime. The error comes with the address that could not be taken.
pub(crate) fn bind(listener: Listener) -> Result<Bound, (SocketAddr, io::Error)> {
    let mut tried = 1;
    loop {
        let first = listen(listener.address).map_err(|error| (listener.address, error))?;
        let address = first.local_addr().map_err(|error| (listener.address, error))?;
        let bound = |dual_stack| Listener { address, dual_stack, ..listener };
        let Some(ip) = listener.counterpart() else {
            return Ok(Bound { listener: bound(false), sockets: vec![first] });
        };
        let other = SocketAddr::new(ip, address.port());
        let any_port = listener.address.port() == 0;
        match listen(other) {
            Ok(second) => {
                return Ok(Bound { listener: bound(true), sockets: vec![first, second] });
            }
            Err(error) if is_family_missing(&error) => {
                tracing::info!(address = %other, %error, "listening on one family only");
                return Ok(Bound { listener: bound(false), sockets: vec![first] });
            }
            // The port was free in one family only: another one is tried.
            Err(error)
                if any_port && error.kind() == io::ErrorKind::AddrInUse && tried < PORTS_TRIED =>
            {
                tried += 1;
            }
            Err(error) => return Err((other, error)),
        }
    }
}

/// Whether the machine has no such family, or no address in it.
fn is_family_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        || error.raw_os_error() == Some(FAMILY_NOT_SUPPORTED)
}

/// The kernel's number for an address family that it was built or started without.
#[cfg(any(target_os = "linux", target_os = "android"))]
const FAMILY_NOT_SUPPORTED: i32 = 97;
#[cfg(windows)]
const FAMILY_NOT_SUPPORTED: i32 = 10_047;
#[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
const FAMILY_NOT_SUPPORTED: i32 = 47;

/// Listens on `address`, in its own family only.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // So that the same port can be taken on both families.
        socket.set_only_v6(true)?;
    }
    #[cfg(unix)]
    {
        socket.set_reuse_address(true)?;
        socket.set_tcp_mss(MAX_SEGMENT)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doors::listener::ListenerKind;

    #[tokio::test]
    async fn segments_are_small() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let client = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let (client, _accepted) = (client.unwrap(), accepted.unwrap());
        let segment = socket2::SockRef::from(&client).tcp_mss().unwrap();
        assert!(segment <= MAX_SEGMENT, "{segment}");
    }

    #[tokio::test]
    async fn localhost_is_one_port_in_both_families() {
        let bound = bind(Listener::localhost(ListenerKind::Plain, 0)).unwrap();
        let addresses: Vec<_> =
            bound.sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        assert_eq!(addresses[0], bound.listener.address);
        assert!(addresses.iter().all(|one| one.port() == addresses[0].port()));
        // A machine without the second family still has the first.
        assert_eq!(bound.listener.dual_stack, addresses.len() == 2);
        if let [_, second] = addresses[..] {
            assert_eq!(second.ip().to_string(), "::1");
        }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_in_one_family_is_named_or_passed_over() {
        let Ok(six) = listen("[::1]:0".parse().unwrap()) else { return };
        let taken = six.local_addr().unwrap();
        let wanted = Listener::localhost(ListenerKind::Plain, taken.port());
        if listen(wanted.address).is_err() {
            return; // Somebody else has the port in the first family.
        }
        let (address, error) = bind(wanted).unwrap_err();
        assert_eq!(address, taken);
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
