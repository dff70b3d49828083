//! `$cbs` and `$management`: enough of both that a client connects and asks for properties.

use crate::wire::{self, Fields, Writer};

/// Milliseconds of every time in a reply.
const TIME: i64 = 1_760_000_000_000;

/// The hub an address names: the path segment after the host, if there is a host.
pub(crate) fn hub_of(address: &str) -> &str {
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => address,
    };
    path.split('/').next().unwrap_or_default()
}

/// A request node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Cbs,
    Management,
}

impl Node {
    /// The node behind a link address, if it is one.
    pub(crate) fn of_address(address: &str) -> Option<Self> {
        if address.ends_with("$cbs") {
            Some(Self::Cbs)
        } else if address.ends_with("$management") {
            Some(Self::Management)
        } else {
            None
        }
    }

    /// The encoded reply message.
    pub(crate) fn reply(self, request: &Request<'_>, hub: &str) -> Vec<u8> {
        let mut out = Vec::new();
        // Properties: the correlation id is the request's message id, in the same type.
        Writer::section(&mut out, 0x73).nulls(5).raw(request.message_id).end();
        let (code, description) = match self {
            Self::Cbs => (202, "Accepted"),
            Self::Management => (200, "OK"),
        };
        wire::put_map_section(&mut out, 0x74, 2, |map| {
            wire::put_text(map, "status-code");
            wire::put_int(map, code);
            wire::put_text(map, "status-description");
            wire::put_text(map, description);
        });
        out.extend([0, 0x53, 0x77]);
        let name = request.name.unwrap_or(hub);
        match (self, request.partition) {
            (Self::Cbs, _) => out.push(0x40),
            (Self::Management, None) => put_hub(&mut out, name),
            (Self::Management, Some(partition)) => put_partition(&mut out, name, partition),
        }
        out
    }
}

fn put_hub(out: &mut Vec<u8>, name: &str) {
    wire::put_map(out, 6, |map| {
        wire::put_text(map, "name");
        wire::put_text(map, name);
        wire::put_text(map, "type");
        wire::put_text(map, "com.microsoft:eventhub");
        wire::put_text(map, "created_at");
        wire::put_wide(map, 0x83, TIME);
        wire::put_text(map, "partition_count");
        wire::put_int(map, 1);
        wire::put_text(map, "partition_ids");
        // An array of one string: size, count, constructor, length, "0".
        map.extend([0xe0, 4, 1, 0xa1, 1, b'0']);
        wire::put_text(map, "georeplication_factor");
        wire::put_int(map, 1);
    });
}

fn put_partition(out: &mut Vec<u8>, name: &str, partition: &str) {
    wire::put_map(out, 10, |map| {
        wire::put_text(map, "name");
        wire::put_text(map, name);
        wire::put_text(map, "type");
        wire::put_text(map, "com.microsoft:partition");
        wire::put_text(map, "partition");
        wire::put_text(map, partition);
        for (key, value) in [
            ("begin_sequence_number", 0),
            ("begin_sequence_number_epoch", -1),
            ("last_enqueued_sequence_number", i64::MAX),
            ("last_enqueued_sequence_number_epoch", -1),
        ] {
            wire::put_text(map, key);
            wire::put_wide(map, 0x81, value);
        }
        wire::put_text(map, "last_enqueued_offset");
        wire::put_text(map, "4294967296");
        wire::put_text(map, "last_enqueued_time_utc");
        wire::put_wide(map, 0x83, TIME);
        wire::put_text(map, "is_partition_empty");
        map.push(0x42);
    });
}

/// What a reply needs of a request message.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// The encoded message id.
    message_id: &'a [u8],
    pub(crate) reply_to: Option<&'a str>,
    name: Option<&'a str>,
    partition: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// Reads the properties and application properties of a request.
    pub(crate) fn read(message: &'a [u8]) -> Option<Self> {
        let mut request = Self { message_id: &[0x40], reply_to: None, name: None, partition: None };
        let mut at = 0;
        while at < message.len() {
            let (code, value) = wire::descriptor(message, at)?;
            let end = wire::skip(message, at)?;
            match code {
                0x73 => {
                    let fields = Fields::described(&message[at..end])?;
                    request.message_id = fields.raw(0);
                    request.reply_to = fields.text(4);
                }
                0x74 => request.read_application_properties(&message[value..end])?,
                _ => {}
            }
            at = end;
        }
        Some(request)
    }

    fn read_application_properties(&mut self, map: &'a [u8]) -> Option<()> {
        let mut at = match map.first()? {
            0xc1 => 3,
            0xd1 => 9,
            _ => return None,
        };
        while at < map.len() {
            let value = wire::skip(map, at)?;
            let end = wire::skip(map, value)?;
            match wire::text(&map[at..value]) {
                Some("name") => self.name = wire::text(&map[value..end]),
                Some("partition") => self.partition = wire::text(&map[value..end]),
                _ => {}
            }
            at = end;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hub_is_the_first_segment_of_the_path() {
        assert_eq!(hub_of("amqps://localhost:5672/body-100/Partitions/0"), "body-100");
        assert_eq!(hub_of("body-100/Partitions/0"), "body-100");
        assert_eq!(hub_of(""), "");
    }

    #[test]
    fn a_reply_carries_the_message_id_in_its_own_type() {
        let mut message = Vec::new();
        Writer::section(&mut message, 0x73).ulong(77).nulls(3).text("back").end();
        wire::put_map_section(&mut message, 0x74, 2, |map| {
            wire::put_text(map, "partition");
            wire::put_text(map, "0");
            wire::put_text(map, "name");
            wire::put_text(map, "body-100");
        });
        let request = Request::read(&message).expect("readable");
        assert_eq!((request.name, request.partition), (Some("body-100"), Some("0")));
        assert_eq!(request.reply_to, Some("back"));
        let reply = Node::Management.reply(&request, "");
        let end = wire::skip(&reply, 0).expect("a properties section");
        let fields = Fields::described(&reply[..end]).expect("a list");
        assert_eq!(fields.raw(5), [0x80, 0, 0, 0, 0, 0, 0, 0, 77]);
    }
}
