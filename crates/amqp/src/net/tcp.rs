//! TCP: every address of a host is tried, and a socket that is up is told how to notice a dead peer.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use super::error::ErrorKind;
use super::{addresses, clock};

/// Options of a TCP socket. They stand beside the heartbeats of AMQP, which only the two ends of a
/// connection see: keep-alives are answered by the peer's system, and also keep the path open.
///
/// A system that refuses one of the times is taken as it is.
///
/// ```
/// use std::time::Duration;
///
/// use eventhubs_amqp::net::{Endpoint, TcpOptions};
///
/// let tcp = TcpOptions { keepalive_idle: Duration::from_secs(10), ..TcpOptions::default() };
/// let endpoint = Endpoint::plain("localhost", 5672).with_tcp(tcp);
/// # let _ = endpoint;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpOptions {
    /// Silence on the connection after which the system asks whether the peer is there; zero: it
    /// never does. Whole seconds. Default 30 s.
    pub keepalive_idle: Duration,
    /// Time between two such questions, where it can be chosen. Whole seconds. Default 10 s.
    pub keepalive_interval: Duration,
    /// Questions without an answer after which the connection is lost, where it can be chosen.
    /// Default 3.
    pub keepalive_count: u32,
    /// Time for what was written to be acknowledged by the peer's system before the connection is
    /// lost, on Linux and Android; zero: the system's own, which is many minutes. Default 60 s.
    pub user_timeout: Duration,
    /// Whether small writes leave at once rather than wait for the acknowledgement of earlier ones.
    /// Default true: flows and dispositions are small.
    pub nodelay: bool,
}

impl Default for TcpOptions {
    fn default() -> Self {
        Self {
            keepalive_idle: Duration::from_secs(30),
            keepalive_interval: Duration::from_secs(10),
            keepalive_count: 3,
            user_timeout: Duration::from_secs(60),
            nodelay: true,
        }
    }
}

/// A socket to the first of `resolved` that answers, at the latest at `by`.
pub(crate) async fn connect(
    resolved: Vec<SocketAddr>,
    by: Instant,
    options: TcpOptions,
) -> Result<TcpStream, ErrorKind> {
    connect_any(resolved, by, |address| async move {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(options.nodelay)?;
        keep_alive(&tcp, options);
        Ok(tcp)
    })
    .await
}

async fn connect_any<S, F>(
    resolved: Vec<SocketAddr>,
    by: Instant,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<S, ErrorKind>
where
    F: Future<Output = io::Result<S>>,
{
    let addresses = addresses::by_turns(resolved);
    let mut failures = Vec::new();
    for (index, address) in addresses.iter().enumerate() {
        let left = by.saturating_duration_since(clock::now());
        let share = addresses::share(left, addresses.len() - index);
        match tokio::time::timeout(share, connect(*address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failures.push(format!("{address}: {error}")),
            Err(_) => failures.push(format!("{address}: no answer within {share:?}")),
        }
    }
    Err(ErrorKind::Transport(failures.join("; ")))
}

fn keep_alive(tcp: &TcpStream, options: TcpOptions) {
    let socket = SockRef::from(tcp);
    if !options.keepalive_idle.is_zero()
        && let Err(error) = socket.set_tcp_keepalive(&questions(options))
    {
        tracing::debug!("a socket takes no keep-alive: {error}");
    }
    #[cfg(any(target_os = "android", target_os = "linux"))]
    if !options.user_timeout.is_zero()
        && let Err(error) = socket.set_tcp_user_timeout(Some(options.user_timeout))
    {
        tracing::debug!("a socket takes no user time-out: {error}");
    }
}

fn questions(options: TcpOptions) -> TcpKeepalive {
    let seconds = |time: Duration| time.max(Duration::from_secs(1));
    let keepalive = TcpKeepalive::new().with_time(seconds(options.keepalive_idle));
    #[cfg(any(
        target_os = "android",
        target_os = "freebsd",
        target_os = "ios",
        target_os = "linux",
        target_os = "macos",
        target_os = "netbsd",
        target_os = "windows",
    ))]
    let keepalive = keepalive
        .with_interval(seconds(options.keepalive_interval))
        .with_retries(options.keepalive_count.max(1));
    keepalive
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::net::TcpListener;
    use tokio::time;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn hosts(count: u8) -> Vec<SocketAddr> {
        (1..=count).map(|last| SocketAddr::from(([10, 0, 0, last], 5671))).collect()
    }

    /// Connects with 20 s; what each address does is given by its last number.
    async fn try_hosts<F: Future<Output = io::Result<u8>>>(
        count: u8,
        connect: impl Fn(u8) -> F,
    ) -> (Result<u8, String>, Duration) {
        let start = time::Instant::now();
        let by = (start + 20 * SECOND).into_std();
        let last = |address: SocketAddr| match address {
            SocketAddr::V4(v4) => v4.ip().octets()[3],
            SocketAddr::V6(_) => 0,
        };
        let result = connect_any(hosts(count), by, |address| connect(last(address))).await;
        (result.map_err(|kind| kind.to_string()), start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_hangs_takes_its_share_and_no_more() {
        let (result, took) = try_hosts(4, async |host| match host {
            1 => pending().await,
            2 => Err(io::ErrorKind::ConnectionRefused.into()),
            host => Ok(host),
        })
        .await;
        assert_eq!((result, took), (Ok(3), 5 * SECOND));
        // A refusal costs nothing, and what it leaves is shared by the others.
        let (result, took) = try_hosts(3, async |host| match host {
            1 => Err(io::ErrorKind::ConnectionRefused.into()),
            2 => pending().await,
            host => Ok(host),
        })
        .await;
        assert_eq!((result, took), (Ok(3), 10 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_that_all_fail_are_all_named_by_the_deadline() {
        let (result, took) = try_hosts(3, async |host| match host {
            2 => Err(io::Error::other("Connection refused")),
            _ => pending().await,
        })
        .await;
        let error = result.unwrap_err();
        assert_eq!(took, 20 * SECOND);
        for text in ["10.0.0.1:5671: no answer", "10.0.0.2:5671: Connection refused", "10.0.0.3"] {
            assert!(error.contains(text), "{error}");
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_socket_is_told_how_to_notice_a_dead_peer() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let dial = async |options| {
            let by = clock::now() + 20 * SECOND;
            connect(vec![address], by, options).await.unwrap()
        };
        let tcp = dial(TcpOptions::default()).await;
        let socket = SockRef::from(&tcp);
        assert!(tcp.nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), 30 * SECOND);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), 10 * SECOND);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(60 * SECOND));
        let zero = Duration::ZERO;
        let none = TcpOptions { keepalive_idle: zero, user_timeout: zero, ..TcpOptions::default() };
        let tcp = dial(none).await;
        assert!(!SockRef::from(&tcp).keepalive().unwrap());
        let odd = TcpOptions {
            keepalive_idle: Duration::from_millis(1),
            keepalive_interval: zero,
            keepalive_count: 0,
            nodelay: false,
            ..TcpOptions::default()
        };
        let tcp = dial(odd).await;
        assert!(!tcp.nodelay().unwrap());
        assert_eq!(SockRef::from(&tcp).tcp_keepalive_time().unwrap(), SECOND);
        assert_eq!(SockRef::from(&tcp).tcp_keepalive_retries().unwrap(), 1);
    }
}
