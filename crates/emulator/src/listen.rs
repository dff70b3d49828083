//! Listening sockets.

use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Segment size of accepted connections. The Python client reads this option and sets it back;
/// above 32 767, as on loopback, the kernel refuses that and the client fails to connect.
const MAX_SEGMENT: u32 = 16_384;

/// Listens on `address`. Must be called within a runtime.
pub(crate) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
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

    #[tokio::test]
    async fn both_families_share_a_port_and_segments_are_small() {
        let four = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = four.local_addr().unwrap();
        if let Ok(six) = listen(SocketAddr::new("::1".parse().unwrap(), address.port())) {
            assert_eq!(six.local_addr().unwrap().port(), address.port());
        }
        let client = tokio::net::TcpStream::connect(address);
        let (client, accepted) = tokio::join!(client, four.accept());
        let (client, _accepted) = (client.unwrap(), accepted.unwrap());
        let segment = socket2::SockRef::from(&client).tcp_mss().unwrap();
        assert!(segment <= MAX_SEGMENT, "{segment}");
    }
}
