//! Events on their way in and as they are stored.
//!
//! What a producer sends is cut into events ([`Publication`]); the log stamps each one with its
//! place and writes it once, in the form in which it goes out to every consumer.

use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use super::section::{self, Kind, Malformed, Pairs};
use crate::names::{BATCH_FORMAT, annotation, info, link};

/// Most events in one batch envelope. One megabyte holds fewer than this even when they are empty.
pub(crate) const MAX_BATCH_EVENTS: usize = 1 << 18;

/// Longest partition key, in characters.
pub(crate) const MAX_KEY: usize = 128;
/// Largest value of one application property, in bytes.
pub(crate) const MAX_PROPERTY: usize = 32 * 1024;

/// Epoch of replication of a namespace that is not replicated, or that a client takes for one.
const NO_EPOCH: i8 = -1;

/// Why a publication is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum PublicationError {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the message cannot be decoded: its sections are out of order")]
    Order,
    #[error("the batch holds no event")]
    Empty,
    #[error("the batch holds more than {MAX_BATCH_EVENTS} events")]
    TooMany,
    #[error("the partition key is longer than {MAX_KEY} characters")]
    Key,
    #[error("a property of an event has a value of more than {MAX_PROPERTY} bytes")]
    Property,
    #[error("the partition key has to be the publisher's name")]
    OtherKey,
}

/// The events of one message from a producer.
#[derive(Debug)]
pub(crate) struct Publication {
    /// The key that chooses the partition: the envelope's, or that of the first event.
    pub(crate) key: Option<String>,
    /// At least one event.
    pub(crate) events: Vec<Incoming>,
}

impl Publication {
    /// Cuts a message into events.
    pub(crate) fn parse(message: &Bytes, format: u32) -> Result<Self, PublicationError> {
        let mut outer = Incoming::parse(message.clone(), true)?;
        if format != BATCH_FORMAT {
            return Ok(Self { key: outer.key.clone(), events: vec![outer] });
        }
        let mut events = Vec::new();
        for section in section::sections(message) {
            let section = section?;
            if section.kind != Kind::Data {
                continue;
            }
            if events.len() == MAX_BATCH_EVENTS {
                return Err(PublicationError::TooMany);
            }
            let (start, end) = section::binary(message, section.value, section.end)?;
            events.push(Incoming::parse(message.slice(start..end), outer.key.is_none())?);
        }
        let first = events.first().ok_or(PublicationError::Empty)?;
        if outer.key.is_none() {
            outer.key.clone_from(&first.key);
        } else {
            for event in &mut events {
                event.key.clone_from(&outer.key);
            }
        }
        Ok(Self { key: outer.key, events })
    }

    /// Holds the publication against the quotas for its parts.
    pub(crate) fn check_quotas(&self) -> Result<(), PublicationError> {
        let keys = self.events.iter().filter_map(|event| event.key.as_deref());
        if self.key.as_deref().into_iter().chain(keys).any(|key| key.chars().count() > MAX_KEY) {
            return Err(PublicationError::Key);
        }
        // Most events are smaller than the quota for one value of theirs.
        let large = self.events.iter().filter(|event| event.message.len() > MAX_PROPERTY);
        for event in large {
            event.check_properties()?;
        }
        Ok(())
    }

    /// Says who publishes. A key has to be the same name.
    pub(crate) fn sign(&mut self, publisher: &Arc<str>) -> Result<(), PublicationError> {
        for event in &mut self.events {
            if event.key.as_deref().is_some_and(|key| *key != **publisher) {
                return Err(PublicationError::OtherKey);
            }
            event.publisher = Some(Arc::clone(publisher));
        }
        self.key = Some(publisher.to_string());
        Ok(())
    }
}

/// What an idempotent producer writes on an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) id: Option<i64>,
    pub(crate) epoch: Option<i64>,
    pub(crate) sequence: Option<i64>,
}

/// One event as a producer encoded it.
#[derive(Debug)]
pub(crate) struct Incoming {
    message: Bytes,
    header: Range<usize>,
    annotations: Range<usize>,
    rest: Range<usize>,
    key: Option<String>,
    publisher: Option<Arc<str>>,
    /// No section starts here: nothing can be put in front.
    bare: bool,
}

/// The place of an event in its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) sequence: i64,
    pub(crate) offset: i64,
    /// Milliseconds since 1970.
    pub(crate) enqueued: i64,
}

impl Incoming {
    /// An event that no producer could publish: whatever cannot be decoded stays as it is, behind
    /// the system annotations if it starts with a section, alone if it does not.
    pub(crate) fn poison(message: Bytes) -> Self {
        if let Ok(event) = Self::parse(message.clone(), true) {
            return event;
        }
        let mut event = Self::whole(message);
        match section::sections(&event.message).next() {
            Some(Ok(section)) if section.kind == Kind::Header => {
                event.header = 0..section.end;
                event.rest.start = section.end;
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => event.bare = true,
        }
        event
    }

    /// A message of which nothing is known.
    fn whole(message: Bytes) -> Self {
        let rest = 0..message.len();
        Self {
            header: 0..0,
            annotations: 0..0,
            rest,
            key: None,
            publisher: None,
            bare: false,
            message,
        }
    }

    fn parse(message: Bytes, want_key: bool) -> Result<Self, PublicationError> {
        let mut event = Self::whole(Bytes::new());
        let mut last = None;
        for section in section::sections(&message) {
            let section = section?;
            let body = |kind| matches!(kind, Kind::Data | Kind::Sequence);
            if last
                .is_some_and(|last| last >= section.kind && !(body(last) && last == section.kind))
            {
                return Err(PublicationError::Order);
            }
            last = Some(section.kind);
            match section.kind {
                Kind::Header => event.header = section.start..section.end,
                // Delivery annotations are for the next hop, which is this one.
                Kind::DeliveryAnnotations => {}
                Kind::MessageAnnotations => event.annotations = section.value..section.end,
                _ if event.rest.is_empty() => event.rest = section.start..section.end,
                _ => event.rest.end = section.end,
            }
        }
        if !event.annotations.is_empty() {
            let pairs = Pairs::parse(&message[event.annotations.clone()])?;
            if want_key {
                event.key = pairs
                    .into_iter()
                    .find(|pair| section::text(pair.key) == Some(annotation::PARTITION_KEY))
                    .and_then(|pair| section::text(pair.value))
                    .map(str::to_owned);
            }
        }
        event.message = message;
        Ok(event)
    }

    /// The number that an idempotent producer gave to the event.
    pub(crate) fn numbers(&self) -> Numbers {
        let mut numbers = Numbers::default();
        let encoded = &self.message[self.annotations.clone()];
        for pair in Pairs::parse(encoded).unwrap_or(Pairs::EMPTY) {
            let field = match section::text(pair.key) {
                Some(link::PRODUCER_ID) => &mut numbers.id,
                Some(link::PRODUCER_EPOCH) => &mut numbers.epoch,
                Some(link::PRODUCER_SEQUENCE) => &mut numbers.sequence,
                _ => continue,
            };
            *field = section::integer(pair.value);
        }
        numbers
    }

    /// Whether no application property is too large.
    fn check_properties(&self) -> Result<(), PublicationError> {
        for section in section::sections(&self.message) {
            let section = section?;
            if section.kind != Kind::ApplicationProperties {
                continue;
            }
            let mut pairs = Pairs::parse(&self.message[section.value..section.end])?;
            if pairs.any(|pair| pair.value.len() > MAX_PROPERTY) {
                return Err(PublicationError::Property);
            }
        }
        Ok(())
    }

    /// Bytes that [`Incoming::write`] adds at most.
    pub(crate) fn written_len(&self) -> usize {
        // Section and map head, names and widest values of the system annotations.
        const PLACE: usize = 12 + (29 + 2) + (23 + 9) + (14 + 2 + 19) + (21 + 9);
        const KEY: usize = 21 + 5;
        let text = |text: Option<&str>| text.map_or(0, |text| KEY + text.len());
        let names = text(self.key.as_deref()) + text(self.publisher.as_deref());
        self.message.len() + PLACE + names
    }

    /// Bytes as the producer sent them.
    pub(crate) fn len(&self) -> usize {
        self.message.len()
    }

    /// Appends the event as consumers get it. The result is the length of its header section,
    /// after which delivery annotations would go.
    pub(crate) fn write(&self, stamp: Stamp, out: &mut BytesMut) -> usize {
        out.put_slice(&self.message[self.header.clone()]);
        if !self.bare {
            self.write_annotations(stamp, out);
        }
        out.put_slice(&self.message[self.rest.clone()]);
        self.header.len()
    }

    fn write_annotations(&self, stamp: Stamp, out: &mut BytesMut) {
        let mut map = MapWriter::section(Kind::MessageAnnotations, out);
        map.small_int(annotation::SEQUENCE_NUMBER_EPOCH, NO_EPOCH);
        map.long(annotation::SEQUENCE_NUMBER, stamp.sequence);
        map.text(annotation::OFFSET, &stamp.offset.to_string());
        map.timestamp(annotation::ENQUEUED_TIME, stamp.enqueued);
        if let Some(key) = &self.key {
            map.text(annotation::PARTITION_KEY, key);
        }
        if let Some(publisher) = &self.publisher {
            map.text(annotation::PUBLISHER, publisher);
        }
        for pair in self.own_annotations() {
            map.raw(pair.both);
        }
        map.finish();
    }

    /// The producer's annotations except those that are the service's to set.
    fn own_annotations(&self) -> impl Iterator<Item = section::Pair<'_>> {
        let signed = self.publisher.is_some();
        let reserved = move |key: &[u8]| match section::text(key) {
            Some(
                annotation::SEQUENCE_NUMBER_EPOCH
                | annotation::SEQUENCE_NUMBER
                | annotation::OFFSET
                | annotation::ENQUEUED_TIME
                | annotation::PARTITION_KEY,
            ) => true,
            Some(annotation::PUBLISHER) => signed,
            _ => false,
        };
        let encoded = &self.message[self.annotations.clone()];
        let pairs = Pairs::parse(encoded).unwrap_or(Pairs::EMPTY);
        pairs.filter(move |pair| !reserved(pair.key))
    }
}

/// The end of a partition as delivery annotations tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) sequence: i64,
    pub(crate) offset: String,
    pub(crate) enqueued: i64,
    /// When the three values above were read.
    pub(crate) retrieved: i64,
}

/// A stored event with delivery annotations, for receivers that asked for runtime metrics.
pub(crate) fn with_tail(message: &Bytes, header_len: usize, tail: &Tail) -> Bytes {
    const ANNOTATIONS: usize = 192;
    let mut out = BytesMut::with_capacity(message.len() + tail.offset.len() + ANNOTATIONS);
    out.put_slice(&message[..header_len]);
    let mut map = MapWriter::section(Kind::DeliveryAnnotations, &mut out);
    map.long(info::LAST_SEQUENCE_NUMBER, tail.sequence);
    map.text(info::LAST_OFFSET, &tail.offset);
    map.timestamp(info::LAST_TIME, tail.enqueued);
    map.timestamp(info::RETRIEVAL_TIME, tail.retrieved);
    map.finish();
    out.put_slice(&message[header_len..]);
    out.freeze()
}

/// A stored event with its offset in another form and the epoch that goes with it; unchanged when it
/// has none.
pub(crate) fn with_offset(message: &Bytes, header_len: usize, epoch: i8, offset: &str) -> Bytes {
    let annotations = message.get(header_len..).and_then(|rest| {
        let section = section::sections(rest).next()?.ok()?;
        let found = section.kind == Kind::MessageAnnotations;
        found.then_some((rest, section.value, section.end))
    });
    let Some((rest, start, end)) = annotations else {
        return message.clone();
    };
    let Ok(pairs) = Pairs::parse(&rest[start..end]) else {
        return message.clone();
    };
    let mut out = BytesMut::with_capacity(message.len() + offset.len());
    out.put_slice(&message[..header_len]);
    let mut map = MapWriter::section(Kind::MessageAnnotations, &mut out);
    for pair in pairs {
        match section::text(pair.key) {
            Some(annotation::SEQUENCE_NUMBER_EPOCH) => {
                map.small_int(annotation::SEQUENCE_NUMBER_EPOCH, epoch);
            }
            Some(annotation::OFFSET) => map.text(annotation::OFFSET, offset),
            _ => map.raw(pair.both),
        }
    }
    map.finish();
    out.put_slice(&rest[end..]);
    out.freeze()
}

/// Writes a section that is a map with symbol keys; its size and count are filled in at the end.
struct MapWriter<'a> {
    out: &'a mut BytesMut,
    start: usize,
    items: u32,
}

impl<'a> MapWriter<'a> {
    fn section(kind: Kind, out: &'a mut BytesMut) -> Self {
        out.put_slice(&[0x00, 0x53, kind as u8, 0xd1]);
        let start = out.len();
        out.put_u64(0);
        Self { out, start, items: 0 }
    }

    fn key(&mut self, key: &str) {
        self.items += 2;
        write_text(self.out, [0xa3, 0xb3], key);
    }

    /// An int that fits one byte.
    fn small_int(&mut self, key: &str, value: i8) {
        self.key(key);
        self.out.put_u8(0x54);
        self.out.put_i8(value);
    }

    fn long(&mut self, key: &str, value: i64) {
        self.key(key);
        self.out.put_u8(0x81);
        self.out.put_i64(value);
    }

    fn timestamp(&mut self, key: &str, value: i64) {
        self.key(key);
        self.out.put_u8(0x83);
        self.out.put_i64(value);
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        write_text(self.out, [0xa1, 0xb1], value);
    }

    fn raw(&mut self, pair: &[u8]) {
        self.items += 2;
        self.out.put_slice(pair);
    }

    fn finish(self) {
        // The size counts what follows it: the count and the items. Messages are far below 4 GiB.
        let size = u32::try_from(self.out.len() - self.start - 4).unwrap_or(u32::MAX);
        let head = &mut self.out[self.start..];
        head[..4].copy_from_slice(&size.to_be_bytes());
        head[4..8].copy_from_slice(&self.items.to_be_bytes());
    }
}

fn write_text(out: &mut BytesMut, [short, long]: [u8; 2], text: &str) {
    match u8::try_from(text.len()) {
        Ok(len) => out.put_slice(&[short, len]),
        Err(_) => {
            out.put_u8(long);
            out.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
        }
    }
    out.put_slice(text.as_bytes());
}

#[cfg(test)]
mod tests;
