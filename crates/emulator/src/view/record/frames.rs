//! Bytes of one client in, frames with names and types out.

use std::collections::HashMap;

use bytes::{Buf, BytesMut};
use eventhubs_amqp::codec::Value;
use eventhubs_amqp::codec::frame::{Header, Kind, PROTOCOL_HEADER_LEN};
use serde_json::{Map, Value as Json, json};

use super::Page;
use super::message;
use super::value::{Show, composite_of, fields};

/// The largest frame that is looked at. Peers must not send larger ones than the emulator takes.
const FRAME_BYTES_MAX: usize = 256 * 1024;
/// Bytes of unfinished messages that are kept, of all links together; the rest of such a message
/// is counted and not told.
const PARTIAL_BYTES_MAX: usize = 512 * 1024;
/// Links whose names are kept.
const LINKS_MAX: usize = 1024;

/// Finds the frames in what a client sends and writes them to a page.
#[derive(Debug)]
pub(super) struct Frames {
    page: Page,
    buffer: BytesMut,
    /// By channel and handle.
    links: HashMap<(u16, u32), Link>,
    /// Bytes of unfinished messages.
    partial_bytes: usize,
}

/// What is known of a link, and the message that is arriving on it.
#[derive(Debug, Default)]
struct Link {
    name: String,
    address: String,
    partial: BytesMut,
    format: u32,
    /// Bytes of the message so far, told or not.
    len: usize,
}

impl Frames {
    pub(super) fn new(page: Page) -> Self {
        Self { page, buffer: BytesMut::new(), links: HashMap::new(), partial_bytes: 0 }
    }

    /// Takes what was read.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.page.is_stopped() {
            self.buffer = BytesMut::new();
            return;
        }
        self.buffer.extend_from_slice(bytes);
        while let Some(frame) = self.next() {
            self.page.add(&frame);
        }
    }

    /// Bytes that are held for frames and messages that are not whole.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        let partial: usize = self.links.values().map(|link| link.partial.capacity()).sum();
        self.buffer.capacity() + partial
    }

    /// The next frame, or `None` when there is no whole one.
    fn next(&mut self) -> Option<Json> {
        if self.buffer.starts_with(b"AMQP") {
            let header = self.buffer.get(..PROTOCOL_HEADER_LEN)?;
            let told = json!({ "protocol-header": header.get(4..) });
            self.buffer.advance(PROTOCOL_HEADER_LEN);
            return Some(told);
        }
        let header = match Header::decode(&self.buffer) {
            Ok(header) => header?,
            Err(_) => return self.give_up("not frames"),
        };
        let size = usize::try_from(header.size).unwrap_or(usize::MAX);
        if size > FRAME_BYTES_MAX {
            return self.give_up("a frame is too large");
        }
        if self.buffer.len() < size {
            return None;
        }
        let frame = self.buffer.split_to(size);
        let body = frame.get(header.body_start()..).unwrap_or_default();
        Some(self.tell(header.kind, header.channel, body))
    }

    fn give_up(&mut self, why: &'static str) -> Option<Json> {
        self.page.stop(why);
        self.buffer = BytesMut::new();
        None
    }

    fn tell(&mut self, kind: Kind, channel: u16, body: &[u8]) -> Json {
        let mut told = Map::new();
        told.insert("channel".to_owned(), json!(channel));
        if body.is_empty() {
            told.insert("empty".to_owned(), json!({}));
            return Json::Object(told);
        }
        let decoded = Value::decode(body).ok();
        let performative = decoded.as_ref().and_then(|(value, len)| {
            let described = value.as_described()?;
            Some((composite_of(described)?, described.value.as_list()?, *len))
        });
        let Some((composite, items, len)) = performative else {
            told.insert("undecodable-bytes".to_owned(), json!(body.len()));
            return Json::Object(told);
        };
        // What SASL carries may be a key.
        let show = if kind == Kind::Sasl { Show::Texts } else { Show::Values };
        told.insert(composite.name.to_owned(), fields(composite, items, show));
        told.insert("fields".to_owned(), json!(items.len()));
        match composite.name {
            "attach" => self.attach(channel, items),
            "transfer" => {
                self.transfer(channel, items, body.get(len..).unwrap_or_default(), &mut told);
            }
            "detach" => {
                if let Some(handle) = handle(items.first()) {
                    self.forget(|of, one| (of, one) == (channel, handle));
                }
            }
            "end" => self.forget(|of, _| of == channel),
            _ => {}
        }
        Json::Object(told)
    }

    fn forget(&mut self, which: impl Fn(u16, u32) -> bool) {
        self.links.retain(|(channel, handle), _| !which(*channel, *handle));
        self.partial_bytes = self.links.values().map(|link| link.partial.len()).sum();
    }

    fn attach(&mut self, channel: u16, items: &[Value]) {
        let Some(handle) = handle(items.get(1)) else { return };
        if self.links.len() >= LINKS_MAX {
            return;
        }
        // A client that sends names the target, one that receives the source.
        let is_receiver = items.get(2).and_then(Value::as_bool).unwrap_or_default();
        let terminus = items.get(if is_receiver { 5 } else { 6 });
        let address = terminus
            .and_then(Value::as_described)
            .and_then(|terminus| terminus.value.as_list()?.first()?.as_str())
            .unwrap_or_default();
        let name = items.first().and_then(Value::as_str).unwrap_or_default();
        let link = Link { name: name.to_owned(), address: address.to_owned(), ..Link::default() };
        self.forget(|of, one| (of, one) == (channel, handle));
        self.links.insert((channel, handle), link);
    }

    fn transfer(
        &mut self,
        channel: u16,
        items: &[Value],
        payload: &[u8],
        told: &mut Map<String, Json>,
    ) {
        told.insert("payload-bytes".to_owned(), json!(payload.len()));
        let link = handle(items.first()).and_then(|handle| self.links.get_mut(&(channel, handle)));
        let Some(link) = link else { return };
        told.insert("link".to_owned(), json!(link.name));
        told.insert("address".to_owned(), json!(link.address));
        let flag = |index: usize| items.get(index).and_then(Value::as_bool).unwrap_or_default();
        if let Some(format) = items.get(3).and_then(Value::as_u64) {
            link.format = u32::try_from(format).unwrap_or_default();
        }
        link.len += payload.len();
        let taken = payload.get(..PARTIAL_BYTES_MAX - self.partial_bytes).unwrap_or(payload);
        link.partial.extend_from_slice(taken);
        self.partial_bytes += taken.len();
        let (more, aborted) = (flag(5), flag(9));
        if more && !aborted {
            return;
        }
        let (payload, len) = (std::mem::take(&mut link.partial), std::mem::take(&mut link.len));
        self.partial_bytes -= payload.len();
        if !aborted {
            told.insert("message-bytes".to_owned(), json!(len));
            told.insert(
                "message".to_owned(),
                message::describe(&payload, link.format, Show::Values),
            );
        }
        link.format = 0;
    }
}

fn handle(value: Option<&Value>) -> Option<u32> {
    value.and_then(Value::as_u64).and_then(|handle| u32::try_from(handle).ok())
}
