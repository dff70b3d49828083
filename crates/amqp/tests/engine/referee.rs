//! Reads everything one end wrote and knows what AMQP 1.0 lets it write (2.4, 2.5.5, 2.6.3).

use std::collections::HashMap;

use eventhubs_amqp::codec::performative::{Performative, Role};

use crate::raw::{Frame, frames};

#[derive(Debug, Default)]
struct Session {
    /// Attached handles, and whether a delivery of several frames is under way.
    links: HashMap<u32, (Role, bool)>,
    next_delivery_id: Option<u32>,
    next_outgoing_id: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Referee {
    open: bool,
    closed: bool,
    sessions: HashMap<u16, Session>,
    /// Bytes of a frame that is not whole yet.
    rest: Vec<u8>,
}

impl Referee {
    /// More bytes of the same end.
    pub(crate) fn watch(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let mut whole = 0;
        while let Some(head) = self.rest[whole..].first_chunk::<8>() {
            let size = match head {
                [b'A', b'M', b'Q', b'P', ..] => 8,
                [a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]) as usize,
            };
            if self.rest.len() - whole < size {
                break;
            }
            whole += size;
        }
        let bytes: Vec<u8> = self.rest.drain(..whole).collect();
        for frame in frames(&bytes) {
            if let Frame::Amqp { channel, performative, .. } = frame {
                self.frame(channel, performative);
            }
        }
    }

    fn frame(&mut self, channel: u16, performative: Performative) {
        assert!(!self.closed, "after the close: {performative:?}");
        match performative {
            Performative::Open(_) => {
                assert!(!self.open, "a second open");
                self.open = true;
                return;
            }
            Performative::Close(_) => {
                assert!(self.open, "a close before the open");
                self.closed = true;
                return;
            }
            Performative::Begin(begin) => {
                let next_outgoing_id = begin.next_outgoing_id;
                let session = Session { next_outgoing_id, ..Session::default() };
                let before = self.sessions.insert(channel, session);
                assert!(before.is_none(), "a second begin on channel {channel}");
                return;
            }
            _ => {}
        }
        if let Performative::End(_) = performative {
            assert!(self.sessions.remove(&channel).is_some(), "an end on channel {channel}");
            return;
        }
        let session = self.sessions.get_mut(&channel);
        let session = session.unwrap_or_else(|| panic!("on no session: {performative:?}"));
        session.frame(performative);
    }
}

impl Session {
    fn frame(&mut self, performative: Performative) {
        match performative {
            Performative::Attach(attach) => {
                let before = self.links.insert(attach.handle, (attach.role, false));
                assert!(before.is_none(), "handle {} is attached twice", attach.handle);
            }
            Performative::Detach(detach) => {
                assert!(self.links.remove(&detach.handle).is_some(), "detached twice: {detach:?}");
            }
            Performative::Flow(flow) => {
                assert_eq!(flow.next_outgoing_id, self.next_outgoing_id, "{flow:?}");
                if let Some(handle) = flow.handle {
                    assert!(self.links.contains_key(&handle), "no such link: {flow:?}");
                }
            }
            Performative::Transfer(transfer) => {
                self.next_outgoing_id = self.next_outgoing_id.wrapping_add(1);
                let Some((role, under_way)) = self.links.get_mut(&transfer.handle) else {
                    panic!("no such link: {transfer:?}");
                };
                assert_eq!(*role, Role::Sender, "{transfer:?}");
                if !*under_way {
                    let id = transfer.delivery_id.expect("the first frame has an id");
                    let due = self.next_delivery_id.replace(id.wrapping_add(1));
                    assert_eq!(due.unwrap_or(id), id, "ids follow one another");
                }
                *under_way = transfer.more && !transfer.aborted;
            }
            Performative::Disposition(_) => {}
            other => panic!("not of a session: {other:?}"),
        }
    }
}
