//! What is known about something that is about to happen.

use super::point::Point;
use super::scope::Role;

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
