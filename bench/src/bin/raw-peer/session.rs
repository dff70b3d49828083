//! A session and its links: windows, credit, the endless partition, the sink and the two
//! request nodes.

use std::collections::BTreeMap;

use crate::{
    event::{Burst, Shape},
    node::{self, Node},
    wire::{Fields, Frame, Writer},
};

/// Transfer frames a client may have in flight in one session.
const INCOMING_WINDOW: u32 = 5_000;
/// Credit given to a sending client; topped up when half of it is used.
const SINK_CREDIT: u32 = 1_000;
/// Largest message, as the service announces it.
const MAX_MESSAGE_SIZE: u64 = 1_048_576;
/// Requests which may wait for credit on their reply link.
const MAX_WAITING_REPLIES: usize = 64;

/// One link of the client, under the handle the client chose (ours is the same number).
#[derive(Debug)]
enum Link {
    /// The client receives events.
    Source { burst: Burst, credit: u32, delivered: u32 },
    /// The client sends events, or requests when there is a node.
    Sink { node: Option<Node>, taken: u32, topped_up: u32, open: bool },
    /// The client receives the replies of a node.
    Replies { node: Node, names: [String; 2], credit: u32, delivered: u32, waiting: Vec<Vec<u8>> },
}

/// A session; our channel is the number the client chose.
#[derive(Debug)]
pub(crate) struct Session {
    channel: u16,
    hub: String,
    next_incoming: u32,
    window_used: u32,
    next_outgoing: u32,
    /// Transfers the client still accepts.
    window: u32,
    next_delivery: u32,
    links: BTreeMap<u32, Link>,
    /// Deliveries taken but not answered: first and last id.
    unanswered: Option<(u32, u32)>,
    current_delivery: u32,
}

impl Session {
    /// Answers a begin.
    pub(crate) fn begin(frame: &Frame<'_>, out: &mut Vec<u8>) -> Self {
        let channel = frame.channel;
        let next_incoming = frame.fields.uint(1).unwrap_or(0);
        let incoming_window = frame.fields.uint(2).unwrap_or(0);
        Writer::amqp(out, channel, 0x11)
            .ushort(channel)
            .uint(0)
            .uint(INCOMING_WINDOW)
            .uint(INCOMING_WINDOW)
            .uint(255)
            .nulls(3)
            .end();
        Self {
            channel,
            hub: String::new(),
            next_incoming,
            window_used: 0,
            next_outgoing: 0,
            window: incoming_window,
            next_delivery: 0,
            links: BTreeMap::new(),
            unanswered: None,
            current_delivery: 0,
        }
    }

    /// Answers an attach in the opposite role and, for a sender, gives it credit.
    pub(crate) fn attach(&mut self, frame: &Frame<'_>, burst: usize, out: &mut Vec<u8>) {
        let fields = &frame.fields;
        let Some(handle) = fields.uint(1) else { return };
        let client_receives = fields.flag(2);
        let terminus = |field| Fields::described(fields.raw(field));
        let peer_side = terminus(if client_receives { 5 } else { 6 });
        let address = peer_side.and_then(|side| side.text(0)).unwrap_or_default().to_owned();
        let node = Node::of_address(&address);
        if node.is_none() {
            self.hub = node::hub_of(&address).to_owned();
        }
        let writer = Writer::amqp(out, self.channel, 0x12).raw(fields.raw(0)).uint(handle);
        if client_receives {
            writer
                .flag(false)
                .ubyte(1)
                .ubyte(0)
                .raw(fields.raw(5))
                .raw(fields.raw(6))
                .nulls(2)
                .uint(0)
                .ulong(MAX_MESSAGE_SIZE)
                .nulls(3)
                .end();
        } else {
            writer
                .flag(true)
                .ubyte(2)
                .ubyte(0)
                .raw(fields.raw(5))
                .raw(fields.raw(6))
                .nulls(3)
                .ulong(MAX_MESSAGE_SIZE)
                .nulls(3)
                .end();
        }
        let link = match (client_receives, node) {
            (false, node) => Link::Sink { node, taken: 0, topped_up: 0, open: false },
            (true, None) => Link::Source {
                burst: Burst::new(self.channel, handle, Shape::of_address(&address), burst),
                credit: 0,
                delivered: 0,
            },
            (true, Some(node)) => {
                let target = terminus(6).and_then(|target| target.text(0)).unwrap_or_default();
                let name = fields.text(0).unwrap_or_default();
                let names = [name.to_owned(), target.to_owned()];
                Link::Replies { node, names, credit: 0, delivered: 0, waiting: Vec::new() }
            }
        };
        self.links.insert(handle, link);
        self.top_up(out);
    }

    /// Takes a flow: the client's window and, with a handle, the link's credit.
    pub(crate) fn flow(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) {
        let fields = &frame.fields;
        self.window = remaining(self.next_outgoing, fields.uint(0), fields.uint(1));
        let handle = fields.uint(4);
        let drain = fields.flag(8);
        if let Some(link) = handle.and_then(|handle| self.links.get_mut(&handle))
            && let Link::Source { credit, delivered, .. } | Link::Replies { credit, delivered, .. } =
                link
        {
            *credit = remaining(*delivered, fields.uint(5), fields.uint(6));
            if drain {
                // The credit is used up at once, which is what drain asks for (part 2.6.7).
                *delivered = delivered.wrapping_add(*credit);
                *credit = 0;
            }
        }
        if drain || fields.flag(9) {
            self.write_flow(handle, drain, out);
        }
        self.send_waiting_replies(out);
    }

    /// Takes a transfer: counts it, notes it for the next disposition, answers a request.
    pub(crate) fn transfer(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) {
        self.next_incoming = self.next_incoming.wrapping_add(1);
        self.window_used += 1;
        let fields = &frame.fields;
        if let Some(id) = fields.uint(1) {
            self.current_delivery = id;
        }
        let Some(handle) = fields.uint(0) else { return };
        let Some(Link::Sink { node, taken, .. }) = self.links.get_mut(&handle) else {
            return;
        };
        if fields.flag(5) {
            return;
        }
        *taken = taken.wrapping_add(1);
        let node = *node;
        if !fields.flag(4) {
            self.note(self.current_delivery, out);
        }
        if let Some(node) = node {
            self.answer(out);
            self.reply(node, frame.payload, out);
        }
    }

    /// Extends the range to answer; a gap in the ids answers what was noted before it.
    fn note(&mut self, id: u32, out: &mut Vec<u8>) {
        match &mut self.unanswered {
            Some((_, last)) if last.wrapping_add(1) == id => *last = id,
            _ => {
                self.answer(out);
                self.unanswered = Some((id, id));
            }
        }
    }

    /// Writes one settled, accepted disposition for everything taken so far.
    pub(crate) fn answer(&mut self, out: &mut Vec<u8>) {
        if let Some((first, last)) = self.unanswered.take() {
            Writer::short(out, self.channel, 0x15)
                .flag(true)
                .uint(first)
                .uint(last)
                .flag(true)
                .raw(&[0, 0x53, 0x24, 0x45])
                .null()
                .end();
        }
    }

    /// Gives sending links new credit, and the session a new window, when half is used.
    pub(crate) fn top_up(&mut self, out: &mut Vec<u8>) {
        let mut due = Vec::new();
        for (handle, link) in &mut self.links {
            if let Link::Sink { taken, topped_up, open, .. } = link
                && (!*open || taken.wrapping_sub(*topped_up) >= SINK_CREDIT / 2)
            {
                *open = true;
                *topped_up = *taken;
                due.push(*handle);
            }
        }
        if due.is_empty() && self.window_used >= INCOMING_WINDOW / 2 {
            self.write_flow(None, false, out);
        }
        for handle in due {
            self.write_flow(Some(handle), false, out);
        }
    }

    fn write_flow(&mut self, handle: Option<u32>, drain: bool, out: &mut Vec<u8>) {
        self.window_used = 0;
        let writer = Writer::amqp(out, self.channel, 0x13)
            .uint(self.next_incoming)
            .uint(INCOMING_WINDOW)
            .uint(self.next_outgoing)
            .uint(INCOMING_WINDOW);
        let state = handle.and_then(|handle| {
            let state = match self.links.get(&handle)? {
                Link::Sink { taken, .. } => (*taken, SINK_CREDIT),
                Link::Source { delivered, credit, .. }
                | Link::Replies { delivered, credit, .. } => (*delivered, *credit),
            };
            Some((handle, state))
        });
        match state {
            Some((handle, (count, credit))) => {
                let writer = writer.uint(handle).uint(count).uint(credit).uint(0);
                writer.flag(drain).flag(false).null().end();
            }
            None => writer.nulls(4).flag(false).flag(false).null().end(),
        }
    }

    /// Answers a request on the reply link that fits it best.
    fn reply(&mut self, node: Node, request: &[u8], out: &mut Vec<u8>) {
        let Some(request) = node::Request::read(request) else {
            return;
        };
        let reply = node.reply(&request, &self.hub);
        let mut fallback = None;
        for link in self.links.values_mut() {
            if let Link::Replies { node: of, names, waiting, .. } = link
                && *of == node
            {
                let named = names.iter().any(|name| Some(name.as_str()) == request.reply_to);
                if named {
                    fallback = Some(waiting);
                    break;
                }
                fallback.get_or_insert(waiting);
            }
        }
        if let Some(waiting) = fallback
            && waiting.len() < MAX_WAITING_REPLIES
        {
            waiting.push(reply);
        }
        self.send_waiting_replies(out);
    }

    fn send_waiting_replies(&mut self, out: &mut Vec<u8>) {
        for (handle, link) in &mut self.links {
            let Link::Replies { credit, delivered, waiting, .. } = link else {
                continue;
            };
            let count = waiting.len().min(usize::try_from(*credit).unwrap_or(usize::MAX));
            for reply in waiting.drain(..count) {
                let [a, b, c, d] = self.next_delivery.to_be_bytes();
                Writer::amqp(out, self.channel, 0x14)
                    .uint(*handle)
                    .uint(self.next_delivery)
                    .raw(&[0xa0, 4, a, b, c, d])
                    .uint(0)
                    .flag(true)
                    .flag(false)
                    .nulls(2)
                    .flag(false)
                    .flag(false)
                    .flag(false)
                    .end_with(&reply);
                self.next_delivery = self.next_delivery.wrapping_add(1);
                self.next_outgoing = self.next_outgoing.wrapping_add(1);
                self.window = self.window.saturating_sub(1);
                *credit -= 1;
                *delivered = delivered.wrapping_add(1);
            }
        }
    }

    /// Takes a detach and answers it.
    pub(crate) fn detach(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) {
        if let Some(handle) = frame.fields.uint(0)
            && self.links.remove(&handle).is_some()
        {
            let closed = frame.fields.flag(1);
            Writer::amqp(out, self.channel, 0x16).uint(handle).flag(closed).null().end();
        }
    }

    /// Whether a receiving link has credit and the session window is open.
    pub(crate) fn can_blast(&self) -> bool {
        self.window > 0
            && self.links.values().any(|link| matches!(link, Link::Source { credit: 1.., .. }))
    }

    /// Hands one burst per link with credit to `write`.
    pub(crate) fn blast<E>(
        &mut self,
        mut write: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for link in self.links.values_mut() {
            let Link::Source { burst, credit, delivered } = link else {
                continue;
            };
            let count = burst.capacity().min(*credit).min(self.window);
            if count == 0 {
                continue;
            }
            let first = self.next_delivery;
            self.next_delivery = first.wrapping_add(count);
            self.next_outgoing = self.next_outgoing.wrapping_add(count);
            self.window -= count;
            *credit -= count;
            *delivered = delivered.wrapping_add(count);
            write(burst.number(count, first))?;
        }
        Ok(())
    }
}

/// What is left of a window of `size` which the client counted from `seen`, when we are at `sent`.
///
/// Works for every size: a window of 2^32-1 is legal and means "no limit".
fn remaining(sent: u32, seen: Option<u32>, size: Option<u32>) -> u32 {
    let in_flight = sent.wrapping_sub(seen.unwrap_or(0));
    size.unwrap_or(0).saturating_sub(in_flight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_wrap_and_may_be_unlimited() {
        assert_eq!(remaining(5, Some(3), Some(10)), 8);
        assert_eq!(remaining(2, Some(u32::MAX), Some(10)), 7);
        assert_eq!(remaining(1_000, Some(500), Some(u32::MAX)), u32::MAX - 500);
        assert_eq!(remaining(20, Some(3), Some(10)), 0);
        assert_eq!(remaining(0, None, None), 0);
    }
}
