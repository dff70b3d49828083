//! The messages of a run: every implementation makes and checks the same ones from their numbers.

use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use crc32fast::Hasher;
use eventhubs_amqp::codec::message::{Body, Header, Message, MessageId, Properties};
use eventhubs_amqp::codec::{Map, Symbol, Value};
use eventhubs_amqp::engine::Delivery;

use crate::Failure;

/// Larger than any frame of either end.
const LARGE_BYTES: usize = 300_000;
/// A few frames of the usual size.
const FRAMES_BYTES: usize = 70_000;
/// Bodies start at one of so many places of the pattern, so that neighbours differ.
const STARTS: usize = 251;
/// Milliseconds since 1970: some day in 2023.
const EPOCH_MS: i64 = 1_700_000_000_000;

/// What all bodies are cut from.
static PATTERN: LazyLock<Bytes> = LazyLock::new(|| {
    (0..LARGE_BYTES + STARTS).map(|place| ((place * 31 + (place >> 8)) & 0xff) as u8).collect()
});

fn body(number: u32) -> Bytes {
    let number = number as usize;
    let size = match number {
        _ if number % 1000 == 999 => LARGE_BYTES,
        _ if number % 100 == 50 => FRAMES_BYTES,
        _ if number.is_multiple_of(7) => 0,
        _ => 10 + number * 37 % 1500,
    };
    let start = number * 7 % STARTS;
    PATTERN.slice(start..start + size)
}

fn application_properties(number: u32) -> Map {
    let n = i64::from(number);
    let tail = if number % 500 == 3 { "x".repeat(300) } else { String::new() };
    let mut map = Map::with_capacity(9);
    map.push("number", Value::Int(number as i32));
    map.push("long", Value::Long(-n << 33));
    map.push("crc", Value::Long(i64::from(crc32fast::hash(&body(number)))));
    map.push("text", Value::from(format!("\u{e9}v\u{e9}nement {number}{tail}")));
    map.push("flag", Value::Bool(number % 2 == 1));
    map.push("double", Value::Double(f64::from(number) + 0.5));
    map.push("time", Value::Timestamp(EPOCH_MS + n));
    let byte = (number & 0xff) as u8;
    map.push("binary", Value::Binary(Bytes::from(vec![byte; (number % 20) as usize])));
    map.push("uuid", Value::Uuid([byte; 16]));
    map
}

/// Message `number`.
pub(crate) fn make(number: u32) -> Message {
    let mut annotations = Map::new();
    annotations.push(Symbol::from_static("x-opt-place"), Value::Long(i64::from(number)));
    let id = match number % 2 {
        0 => MessageId::Ulong(u64::from(number)),
        _ => MessageId::String(format!("message-{number}")),
    };
    Message {
        header: Some(Header { durable: number % 2 == 1, ..Header::default() }),
        message_annotations: annotations,
        properties: Some(Properties {
            message_id: Some(id),
            subject: Some(format!("event {number}")),
            content_type: Some(Symbol::from_static("application/octet-stream")),
            ..Properties::default()
        }),
        application_properties: application_properties(number),
        body: Body::from(body(number)),
        ..Message::default()
    }
}

/// Message `number` as it is sent.
pub(crate) fn encode(number: u32) -> Bytes {
    let mut out = BytesMut::new();
    make(number).encode(&mut out);
    out.freeze()
}

/// How many messages came or went, and a checksum over their bodies in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count {
    pub(crate) messages: u32,
    sum: Hasher,
}

impl Count {
    /// Counts the next message we send.
    pub(crate) fn sent(&mut self) {
        self.sum.update(&body(self.messages));
        self.messages += 1;
    }

    /// Counts the next message that came, if it is the one that is due.
    pub(crate) fn received(&mut self, delivery: &Delivery) -> Result<(), Failure> {
        let number = self.messages;
        let payload = Bytes::copy_from_slice(delivery.payload());
        let came = Message::decode(&payload)?;
        let due = make(number);
        let Body::Data(sections) = &came.body else {
            return Err(format!("message {number}: the body is no data").into());
        };
        let came_body = sections.concat();
        if came_body != body(number) {
            let size = came_body.len();
            return Err(format!("message {number}: another body, of {size} bytes").into());
        }
        // An absent header is the default one; peers leave it out.
        let header = came.header.unwrap_or_default();
        same(number, "header", &Some(header), &due.header)?;
        same(number, "properties", &came.properties, &due.properties)?;
        same(number, "annotations", &came.message_annotations, &due.message_annotations)?;
        for (key, value) in &due.application_properties {
            let key = key.as_str().unwrap_or_default();
            same(number, key, &came.application_properties.get(key), &Some(value))?;
        }
        let (came, due) = (came.application_properties.len(), due.application_properties.len());
        same(number, "number of properties", &came, &due)?;
        self.sum.update(&came_body);
        self.messages += 1;
        Ok(())
    }

    /// `COUNT CHECKSUM`, as every implementation prints it.
    pub(crate) fn shown(&self) -> String {
        format!("{} {:08x}", self.messages, self.sum.clone().finalize())
    }
}

fn same<T: PartialEq + std::fmt::Debug>(
    number: u32,
    what: &str,
    came: &T,
    due: &T,
) -> Result<(), Failure> {
    match came == due {
        true => Ok(()),
        false => Err(format!("message {number}: {what} is {came:?}, not {due:?}").into()),
    }
}
