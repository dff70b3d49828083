//! What is known about something that is about to happen.

use eventhubs_amqp::codec::performative::{self, Attach};

use super::point::Point;
use super::scope::Role;
use crate::rules::address::Address;

/// Something that is about to happen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occurrence<'a> {
    pub(crate) point: Point,
    pub(crate) place: Place<'a>,
}

/// Where it happens.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// On the way to a host.
    Host(&'a str),
    /// On a connection as a whole.
    Connection(&'a ConnectionFacts),
    /// On a link.
    Link(&'a ConnectionFacts, &'a LinkFacts),
}

/// What is known of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ConnectionFacts {
    pub(crate) number: u64,
    /// Empty before the client's open.
    pub(crate) container: String,
}

/// What is known of a link, or of a request on one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LinkFacts {
    /// `None` when the address is none of ours.
    pub(crate) role: Option<Role>,
    pub(crate) name: String,
    pub(crate) hub: Option<String>,
    pub(crate) partition: Option<String>,
    pub(crate) group: Option<String>,
}

impl LinkFacts {
    /// What an attach says.
    pub(crate) fn of(attach: &Attach) -> Self {
        let address = match attach.role {
            performative::Role::Sender => {
                attach.target.as_ref().and_then(|target| target.address.as_deref())
            }
            performative::Role::Receiver => {
                attach.source.as_ref().and_then(|source| source.address.as_deref())
            }
        };
        Self { name: attach.name.clone(), ..Self::of_address(address.unwrap_or_default()) }
    }

    /// What an address says.
    pub(crate) fn of_address(address: &str) -> Self {
        let producer = |hub, partition| {
            let hub = Some(hub);
            Self { role: Some(Role::Producer), hub, partition, ..Self::default() }
        };
        match Address::parse(address) {
            Address::Cbs => Self { role: Some(Role::Cbs), ..Self::default() },
            Address::Management => Self { role: Some(Role::Management), ..Self::default() },
            Address::Hub { hub } | Address::Publisher { hub, .. } => producer(hub, None),
            Address::Partition { hub, partition } => producer(hub, Some(partition)),
            Address::Consumer { hub, group, partition } => Self {
                role: Some(Role::Consumer),
                hub: Some(hub),
                partition: Some(partition),
                group: Some(group),
                ..Self::default()
            },
            Address::Unknown => Self::default(),
        }
    }
}
