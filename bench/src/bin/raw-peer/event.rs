//! Pre-encoded events in the shape the service sends them.

use crate::wire::{self, Writer};

/// What the events of a hub look like; the hub's name says it.
///
/// `body-1024` has bodies of 1 024 bytes, `body-1024-properties` adds a partition key, a
/// properties section and application properties. Any other name means `body-1024`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    body: usize,
    properties: bool,
}

impl Shape {
    const DEFAULT_BODY: usize = 1_024;
    /// Room for the transfer and the sections before the body, with every extra.
    const MAX_BODY: usize = wire::MAX_FRAME as usize - 1_024;

    /// The shape for an address such as `amqp://host/body-100/ConsumerGroups/...`.
    pub(crate) fn of_address(address: &str) -> Self {
        address
            .split('/')
            .find_map(Self::of_hub)
            .unwrap_or(Self { body: Self::DEFAULT_BODY, properties: false })
    }

    fn of_hub(hub: &str) -> Option<Self> {
        let rest = hub.strip_prefix("body-")?;
        let (body, properties) = match rest.strip_suffix("-properties") {
            Some(body) => (body, true),
            None => (rest, false),
        };
        let body = body.parse().ok().filter(|body| *body <= Self::MAX_BODY)?;
        Some(Self { body, properties })
    }
}

/// One settled transfer frame and the places which differ from event to event.
#[derive(Debug)]
struct Template {
    frame: Vec<u8>,
    delivery_id: usize,
    tag: usize,
    sequence: usize,
}

impl Template {
    fn new(channel: u16, handle: u32, shape: Shape) -> Self {
        let mut frame = Vec::new();
        let (message, sequence) = message(shape);
        let writer = Writer::short(&mut frame, channel, 0x14).uint(handle);
        let delivery_id = writer.position() + 1;
        let writer = writer.uint(0);
        let tag = writer.position() + 2;
        let mut encoded_tag = [0; 18];
        encoded_tag[..2].copy_from_slice(&[0xa0, 16]);
        // handle, delivery-id, delivery-tag, message-format, settled, more, rcv-settle-mode,
        // state, resume, aborted, batchable: all eleven fields in a list with 8-bit sizes, and
        // batchable set, as frame traces of the service show it.
        let writer = writer.raw(&encoded_tag).raw(&[0x43]).flag(true).flag(false).nulls(2);
        let writer = writer.flag(false).flag(false).flag(true);
        let sequence = writer.position() + sequence;
        writer.end_with(&message);
        Self { frame, delivery_id, tag, sequence }
    }
}

/// The encoded message and where the eight bytes of its sequence number are.
fn message(shape: Shape) -> (Vec<u8>, usize) {
    let mut out = Vec::new();
    let mut sequence_in_map = 0;
    wire::put_map_section(&mut out, 0x72, if shape.properties { 4 } else { 3 }, |map| {
        wire::put_symbol(map, "x-opt-sequence-number");
        sequence_in_map = map.len() + 1;
        wire::put_wide(map, 0x81, 0);
        wire::put_symbol(map, "x-opt-offset");
        wire::put_text(map, "4294967296");
        wire::put_symbol(map, "x-opt-enqueued-time");
        wire::put_wide(map, 0x83, 1_760_000_000_000);
        if shape.properties {
            wire::put_symbol(map, "x-opt-partition-key");
            wire::put_text(map, "device-000123");
        }
    });
    // Descriptor (3) and the head of a map with 8-bit sizes (3) stand before the entries.
    let sequence = 6 + sequence_in_map;
    if shape.properties {
        Writer::section(&mut out, 0x73)
            .text("0f8fad5b-d9cb-469f-a165-70867728950e")
            .nulls(4)
            .text("corr-0001")
            .raw(b"\xa3\x10application/json")
            .end();
        wire::put_map_section(&mut out, 0x74, 3, |map| {
            wire::put_text(map, "sensor");
            wire::put_text(map, "temperature");
            wire::put_text(map, "value");
            map.push(0x82);
            map.extend(21.5_f64.to_be_bytes());
            wire::put_text(map, "ts");
            wire::put_wide(map, 0x81, 123_456_789);
        });
    }
    out.extend([0, 0x53, 0x75]);
    wire::put_body(&mut out, &body(shape.body));
    (out, sequence)
}

/// Bytes that do not compress and are the same in every run.
fn body(len: usize) -> Vec<u8> {
    let mut state = 0x1234_5678_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [high, ..] = state.to_be_bytes();
        high & 0x7f | 1
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// An endless partition: many copies of one event, numbered just before they are written.
#[derive(Debug)]
pub(crate) struct Burst {
    bytes: Vec<u8>,
    frame_len: usize,
    capacity: u32,
    template: Template,
    sequence: i64,
}

impl Burst {
    /// Events for one link; `burst` is how many bytes go out in one write, at least one event.
    pub(crate) fn new(channel: u16, handle: u32, shape: Shape, burst: usize) -> Self {
        let template = Template::new(channel, handle, shape);
        let frame_len = template.frame.len();
        let capacity = u32::try_from((burst / frame_len).max(1)).unwrap_or(u32::MAX);
        let bytes = template.frame.repeat((burst / frame_len).max(1));
        Self { bytes, frame_len, capacity, template, sequence: 0 }
    }

    /// The most events one call of [`Burst::number`] gives.
    pub(crate) fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Frames for the next `count` events, numbered from `delivery_id`.
    pub(crate) fn number(&mut self, count: u32, delivery_id: u32) -> &[u8] {
        let mut id = delivery_id;
        let mut end = 0;
        for frame in self.bytes.chunks_exact_mut(self.frame_len).take(count as usize) {
            put(frame, self.template.delivery_id, &id.to_be_bytes());
            put(frame, self.template.tag, &id.to_be_bytes());
            put(frame, self.template.sequence, &self.sequence.to_be_bytes());
            id = id.wrapping_add(1);
            self.sequence += 1;
            end += self.frame_len;
        }
        &self.bytes[..end]
    }
}

fn put(frame: &mut [u8], at: usize, bytes: &[u8]) {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Frame, u32_at};

    #[test]
    fn the_hub_names_the_shape() {
        let shape = |body, properties| Shape { body, properties };
        let group = "ConsumerGroups/$Default/Partitions/0";
        let of = |hub: &str| Shape::of_address(&format!("amqps://127.0.0.1:5672/{hub}/{group}"));
        assert_eq!(of("body-100"), shape(100, false));
        assert_eq!(of("body-32768"), shape(32_768, false));
        assert_eq!(of("body-1024-properties"), shape(1_024, true));
        assert_eq!(of("hub"), shape(1_024, false));
        assert_eq!(of("body-99999999"), shape(1_024, false));
    }

    #[test]
    fn events_are_numbered_and_stay_well_formed() {
        for hub in ["body-100", "body-1024-properties", "body-32768"] {
            let shape = Shape::of_address(hub);
            let mut burst = Burst::new(3, 5, shape, 4_096);
            let count = burst.capacity();
            let first = u32::MAX;
            let mut frames = burst.number(count, first).to_vec();
            frames.extend(burst.number(count, first.wrapping_add(count)));
            let mut at = 0;
            for number in 0..count * 2 {
                let size = u32_at(&frames, at).expect("a size") as usize;
                let frame = Frame::read(&frames[at..at + size]).expect("readable").expect("whole");
                assert_eq!((frame.channel, frame.code), (3, 0x14));
                assert_eq!(frame.fields.uint(0), Some(5));
                assert_eq!(frame.fields.uint(1), Some(first.wrapping_add(number)));
                let start = frame.payload.windows(21).position(|w| w == b"x-opt-sequence-number");
                let value = start.expect("annotated") + 21;
                assert_eq!(frame.payload[value], 0x81);
                let sequence = &frame.payload[value + 1..value + 9];
                assert_eq!(sequence, i64::from(number).to_be_bytes());
                let mut section = 0;
                while section < frame.payload.len() {
                    section = wire::skip(frame.payload, section).expect("a whole section");
                }
                at += size;
            }
            assert_eq!(at, frames.len());
        }
    }
}
