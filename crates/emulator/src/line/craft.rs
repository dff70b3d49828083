//! AMQP bytes put together by hand, right or wrong as asked.
//!
//! The engine's encoder cannot write what is wrong, and must not be what wrong frames are made of.

/// Number of a performative or message section.
pub(super) mod code {
    pub(in super::super) const OPEN: u8 = 0x10;
    pub(in super::super) const BEGIN: u8 = 0x11;
    pub(in super::super) const FLOW: u8 = 0x13;
    pub(in super::super) const TRANSFER: u8 = 0x14;
    pub(in super::super) const DISPOSITION: u8 = 0x15;
    pub(in super::super) const DETACH: u8 = 0x16;
    pub(in super::super) const ACCEPTED: u8 = 0x24;
    pub(in super::super) const MESSAGE_ANNOTATIONS: u8 = 0x72;
    pub(in super::super) const DATA: u8 = 0x75;
    pub(in super::super) const VALUE: u8 = 0x77;
    /// A message section that the specification does not have.
    pub(in super::super) const NO_SECTION: u8 = 0x7f;
}

pub(super) const NULL: [u8; 1] = [0x40];

/// A frame of the AMQP layer.
pub(super) fn frame(channel: u16, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).unwrap_or(u32::MAX);
    [&header(size, 2, 0, channel), body].concat()
}

/// The fixed part of a frame.
pub(super) fn header(size: u32, doff: u8, layer: u8, channel: u16) -> [u8; 8] {
    let [a, b, c, d] = size.to_be_bytes();
    let [e, f] = channel.to_be_bytes();
    [a, b, c, d, doff, layer, e, f]
}

/// A performative or another list with a number.
pub(super) fn composite(code: u8, fields: &[&[u8]]) -> Vec<u8> {
    [&[0x00, 0x53, code], &list(fields)[..]].concat()
}

/// A section of a message.
pub(super) fn section(code: u8, value: &[u8]) -> Vec<u8> {
    [&[0x00, 0x53, code], value].concat()
}

pub(super) fn list(items: &[&[u8]]) -> Vec<u8> {
    compound(0xd0, items.len(), &items.concat())
}

/// A map; `items` are its keys and values in turn.
pub(super) fn map(items: &[&[u8]]) -> Vec<u8> {
    compound(0xd1, items.len(), &items.concat())
}

/// A list or map with four-byte size and count.
pub(super) fn compound(constructor: u8, count: usize, items: &[u8]) -> Vec<u8> {
    let count = u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes();
    sized(constructor, &[&count, items].concat())
}

pub(super) fn uint(value: u32) -> Vec<u8> {
    [&[0x70], &value.to_be_bytes()[..]].concat()
}

pub(super) fn boolean(value: bool) -> [u8; 1] {
    [if value { 0x41 } else { 0x42 }]
}

pub(super) fn symbol(text: &str) -> Vec<u8> {
    sized(0xb3, text.as_bytes())
}

pub(super) fn string(text: &str) -> Vec<u8> {
    sized(0xb1, text.as_bytes())
}

pub(super) fn binary(bytes: &[u8]) -> Vec<u8> {
    sized(0xb0, bytes)
}

fn sized(constructor: u8, data: &[u8]) -> Vec<u8> {
    let size = u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[constructor], &size[..], data].concat()
}

/// Described values inside of each other, `depth` of them: two bytes each.
pub(super) fn nested(depth: usize) -> Vec<u8> {
    let mut bytes = [0x00, 0x43].repeat(depth);
    bytes.extend(NULL);
    bytes
}

/// Lists inside of each other, `depth` of them: nine bytes each.
pub(super) fn nested_lists(depth: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(depth * 9);
    for level in (0..depth).rev() {
        // What follows the size: the count, and the lists inside; the innermost is empty.
        let size = u32::try_from(4 + level * 9).unwrap_or(u32::MAX);
        bytes.push(0xd0);
        bytes.extend(size.to_be_bytes());
        bytes.extend(u32::from(level > 0).to_be_bytes());
    }
    bytes
}
