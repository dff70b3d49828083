//! Which address of a host to try, and for how long. Pure.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Addresses of one host that are tried. A resolver may say what it likes; more of them would leave
/// each too little time to answer.
const ADDRESSES_MAX: usize = 16;

/// The host as names and certificates spell it: an IPv6 address without the brackets of a URL.
pub(crate) fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

/// The address that a host is, rather than names. No resolver is asked about it.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    bare(host).parse().ok()
}

/// The order to try in: as resolved, but the families by turns, so that a host whose one family does
/// not work is reached by the second attempt.
pub(crate) fn by_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else {
        return addresses;
    };
    let (like, unlike): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let (mut like, mut unlike) = (like.into_iter(), unlike.into_iter());
    let mut order: Vec<SocketAddr> = Vec::new();
    loop {
        let turn = [like.next(), unlike.next()];
        if turn == [None, None] || order.len() >= ADDRESSES_MAX {
            order.truncate(ADDRESSES_MAX);
            return order;
        }
        for address in turn.into_iter().flatten() {
            if !order.contains(&address) {
                order.push(address);
            }
        }
    }
}

/// How long one address may take, when `left` is left for it and those after it. What a quick
/// refusal saves goes to the others.
pub(crate) fn share(left: Duration, addresses: usize) -> Duration {
    left / u32::try_from(addresses).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(addresses: &[&str]) -> Vec<String> {
        let parsed = addresses.iter().map(|address| address.parse().unwrap()).collect();
        by_turns(parsed).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn families_take_turns_and_the_resolvers_order_stays() {
        let resolved = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"];
        let turns = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"];
        assert_eq!(order(&resolved), turns);
        assert_eq!(order(&["1.1.1.2:1", "1.1.1.1:1"]), ["1.1.1.2:1", "1.1.1.1:1"]);
        assert_eq!(order(&["1.1.1.2:1", "1.1.1.2:1"]), ["1.1.1.2:1"], "once is enough");
        assert_eq!(order(&[]), [""; 0]);
        let many: Vec<_> = (0..1000).map(|port| format!("1.1.1.1:{port}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(order(&many), many[..ADDRESSES_MAX]);
    }

    #[test]
    fn addresses_are_no_names() {
        assert_eq!(literal("127.0.0.1"), "127.0.0.1".parse().ok());
        assert_eq!(literal("[::1]"), "::1".parse().ok());
        assert_eq!(literal("::1"), "::1".parse().ok());
        assert_eq!(literal("one.example"), None);
        assert_eq!((bare("[::1]"), bare("one.example")), ("::1", "one.example"));
    }
}
