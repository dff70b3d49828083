//! Entity addresses, as clients put them on links and in token audiences.
//!
//! Clients write either a bare path (`hub/Partitions/0`) or a whole URL with any scheme and with
//! or without a port (`amqps://host:5672/hub/Partitions/0`). Only the path names an entity here:
//! an emulator is reached under many host names.

use std::fmt;

use crate::names;

/// What a link or a request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// `$cbs`.
    Cbs,
    /// `$management` or `{hub}/$management`.
    Management,
    /// `{hub}`.
    Hub { hub: String },
    /// `{hub}/Partitions/{partition}`.
    Partition { hub: String, partition: String },
    /// `{hub}/Publishers/{publisher}`.
    Publisher { hub: String, publisher: String },
    /// `{hub}/ConsumerGroups/{group}/Partitions/{partition}`.
    Consumer { hub: String, group: String, partition: String },
    /// Anything else.
    Unknown,
}

impl Address {
    /// Reads a link address.
    pub(crate) fn parse(text: &str) -> Self {
        let segments: Vec<&str> = path(text).split('/').filter(|part| !part.is_empty()).collect();
        let is = |given: &str, name: &str| given.eq_ignore_ascii_case(name);
        match segments.as_slice() {
            [.., node] if is(node, names::CBS_NODE) => Self::Cbs,
            [.., node] if is(node, names::MANAGEMENT_NODE) => Self::Management,
            [hub] => Self::Hub { hub: (*hub).to_owned() },
            [hub, keyword, partition] if is(keyword, names::PARTITIONS_SEGMENT) => {
                Self::Partition { hub: (*hub).to_owned(), partition: (*partition).to_owned() }
            }
            [hub, keyword, publisher] if is(keyword, names::PUBLISHERS_SEGMENT) => {
                Self::Publisher { hub: (*hub).to_owned(), publisher: (*publisher).to_owned() }
            }
            [hub, groups, group, keyword, partition]
                if is(groups, names::GROUPS_SEGMENT) && is(keyword, names::PARTITIONS_SEGMENT) =>
            {
                Self::Consumer {
                    hub: (*hub).to_owned(),
                    group: (*group).to_owned(),
                    partition: (*partition).to_owned(),
                }
            }
            _ => Self::Unknown,
        }
    }
}

/// The part of an address after scheme and authority.
pub(crate) fn path(text: &str) -> &str {
    let path = match text.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => text,
    };
    path.trim_matches('/')
}

/// The resource a token speaks of: host without port, and path, both in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Audience {
    host: String,
    path: String,
}

impl Audience {
    /// Reads an audience URL. Text without a scheme is taken as a host and a path.
    pub(crate) fn parse(text: &str) -> Self {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        // Tokens for hub management are for a whole URL, and a query names no resource.
        let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        Self {
            host: host(authority).to_ascii_lowercase(),
            path: path.trim_matches('/').to_ascii_lowercase(),
        }
    }

    /// The path in lower case, without slashes at its ends; empty for a whole namespace.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Whether the other one is on the same host. Without a host nothing is.
    pub(crate) fn same_host(&self, other: &Self) -> bool {
        !self.host.is_empty() && self.host == other.host
    }

    /// Everything on this host.
    pub(crate) fn namespace(&self) -> Self {
        Self { host: self.host.clone(), path: String::new() }
    }

    /// First segment of the path: the hub, if the audience names one.
    pub(crate) fn hub(&self) -> Option<&str> {
        self.path.split('/').next().filter(|hub| !hub.is_empty())
    }

    /// Whether a token for this resource may be used for `other`: same host, and a path that is
    /// the other's path or one of its parents, by whole segments.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.host == other.host && covers_path(&self.path, &other.path)
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.is_empty() {
            true => f.write_str(&self.host),
            false => write!(f, "{}/{}", self.host, self.path),
        }
    }
}

/// Whether `scope` is `path` or one of its parents. Both are in lower case.
pub(crate) fn covers_path(scope: &str, path: &str) -> bool {
    match path.strip_prefix(scope) {
        Some(rest) => scope.is_empty() || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

/// Authority without user and port; keeps the brackets of an IPv6 address.
fn host(authority: &str) -> &str {
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Some(end) = authority.find(']') {
        return &authority[..=end];
    }
    authority.split_once(':').map_or(authority, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_seen_from_official_clients() {
        let hub = || "hub".to_owned();
        let table = [
            ("$cbs", Address::Cbs),
            ("$management", Address::Management),
            ("hub/$management", Address::Management),
            ("hub", Address::Hub { hub: hub() }),
            ("amqps://localhost:15672/hub", Address::Hub { hub: hub() }),
            ("hub/Partitions/0", Address::Partition { hub: hub(), partition: "0".into() }),
            (
                "amqps://localhost/hub/partitions/77",
                Address::Partition { hub: hub(), partition: "77".into() },
            ),
            (
                "amqps://h:1/hub/ConsumerGroups/$Default/Partitions/3",
                Address::Consumer { hub: hub(), group: "$Default".into(), partition: "3".into() },
            ),
            ("/hub/", Address::Hub { hub: hub() }),
            ("hub/publishers/P-1", Address::Publisher { hub: hub(), publisher: "P-1".into() }),
            ("hub/Publishers", Address::Unknown),
            ("", Address::Unknown),
            ("amqps://host", Address::Unknown),
            ("hub/Partitions", Address::Unknown),
            ("hub/Nothing/0", Address::Unknown),
            ("hub/ConsumerGroups/g/Partitions/0/x", Address::Unknown),
        ];
        for (text, expected) in table {
            assert_eq!(Address::parse(text), expected, "address {text:?}");
        }
    }

    #[test]
    fn audiences_compare_by_host_and_whole_segments() {
        let covers =
            |scope: &str, other: &str| Audience::parse(scope).covers(&Audience::parse(other));
        assert!(covers("sb://h:5672/hub", "sb://h:5672/hub"));
        assert!(covers("amqps://H/Hub", "amqps://h:15672/hub/Partitions/0"), "case and port");
        assert!(covers("sb://h/", "amqps://h/hub/$management"), "namespace");
        assert!(covers("sb://[::1]:5672/hub", "sb://[::1]/hub"), "address with colons");
        assert!(!covers("sb://h/hub", "sb://h/hub2"), "whole segments only");
        assert!(!covers("sb://h/hub/Partitions/0", "sb://h/hub"), "a child does not cover");
        assert!(!covers("sb://other/hub", "sb://h/hub"), "another host");
    }

    #[test]
    fn audience_names_its_hub() {
        assert_eq!(Audience::parse("sb://h/Hub/ConsumerGroups/g").hub(), Some("hub"));
        assert_eq!(Audience::parse("sb://h").hub(), None);
    }
}
