//! What is attached on a connection, learned from the frames that go out.

use std::collections::BTreeMap;

use super::fields::fields;
use super::frames::{FrameKind, Passed};

/// Frames of which the walker of the way out keeps so many bytes for this. Of an attach, name,
/// handle and role; of a transfer, handle and delivery-id.
pub(super) const KEPT: &[(FrameKind, usize)] =
    &[(FrameKind::Attach, 4096), (FrameKind::Detach, 64), (FrameKind::Transfer, 32)];
/// Links remembered at a time; the engine allows fewer.
const LINKS_MAX: usize = 8192;
/// Sessions remembered at a time; channel-max is lower.
const SESSIONS_MAX: usize = 8192;

/// One end of a link as the peer is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attached {
    pub(super) name: Vec<u8>,
    /// Whether the emulator receives on it.
    pub(super) is_receiver: bool,
}

#[derive(Debug, Default)]
struct Session {
    /// By handle.
    links: BTreeMap<u32, Attached>,
    /// Id of the next delivery, as the peer counts.
    next_delivery: u32,
}

/// Channels and handles in use.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// By channel.
    sessions: BTreeMap<u16, Session>,
    links: usize,
}

impl Links {
    /// Takes note of a frame that has gone out, of which `kept` are the first bytes.
    pub(super) fn note(&mut self, passed: Passed, kept: &[u8]) {
        match passed.kind {
            FrameKind::Begin if self.sessions.len() < SESSIONS_MAX => {
                self.sessions.entry(passed.channel).or_default();
            }
            FrameKind::End => {
                let ended = self.sessions.remove(&passed.channel);
                self.links -= ended.map_or(0, |session| session.links.len());
            }
            FrameKind::Transfer => {
                let id = fields(kept).nth(1).and_then(|id| id.uint());
                if let (Some(id), Some(session)) = (id, self.sessions.get_mut(&passed.channel)) {
                    session.next_delivery = id.wrapping_add(1);
                }
            }
            FrameKind::Attach => self.attach(passed.channel, kept),
            FrameKind::Detach => {
                let handle = fields(kept).next().and_then(|handle| handle.uint());
                let session = self.sessions.get_mut(&passed.channel);
                if let (Some(session), Some(handle)) = (session, handle)
                    && session.links.remove(&handle).is_some()
                {
                    self.links -= 1;
                }
            }
            _ => {}
        }
    }

    fn attach(&mut self, channel: u16, frame: &[u8]) {
        let mut fields = fields(frame);
        let name = fields.next().and_then(|name| name.text());
        let handle = fields.next().and_then(|handle| handle.uint());
        let role = fields.next().and_then(|role| role.boolean());
        let (Some(name), Some(handle), Some(is_receiver)) = (name, handle, role) else {
            return;
        };
        if self.links >= LINKS_MAX {
            return;
        }
        let attached = Attached { name: name.to_vec(), is_receiver };
        if let Some(session) = self.sessions.get_mut(&channel)
            && session.links.insert(handle, attached).is_none()
        {
            self.links += 1;
        }
    }

    /// Channel and handle of the link called `name`, or of any link without one, at which the
    /// emulator is the receiver or the sender.
    pub(super) fn find(&self, name: Option<&str>, is_receiver: bool) -> Option<(u16, u32)> {
        let fits = |attached: &Attached| {
            attached.is_receiver == is_receiver
                && name.is_none_or(|name| attached.name == name.as_bytes())
        };
        self.sessions.iter().find_map(|(channel, session)| {
            let (handle, _) = session.links.iter().find(|(_, attached)| fits(attached))?;
            Some((*channel, *handle))
        })
    }

    /// Uses up a delivery id of the session on `channel`.
    pub(super) fn next_delivery(&mut self, channel: u16) -> u32 {
        let Some(session) = self.sessions.get_mut(&channel) else {
            return 0;
        };
        let id = session.next_delivery;
        session.next_delivery = id.wrapping_add(1);
        id
    }

    /// The lowest channel in use.
    pub(super) fn channel(&self) -> Option<u16> {
        self.sessions.keys().next().copied()
    }

    /// The highest channel not in use.
    pub(super) fn free_channel(&self, channel_max: u16) -> u16 {
        let in_use = |channel: &u16| self.sessions.contains_key(channel);
        (0..=channel_max).rev().find(|channel| !in_use(channel)).unwrap_or(channel_max)
    }

    /// A handle not in use on `channel`.
    pub(super) fn free_handle(&self, channel: u16, handle_max: u32) -> u32 {
        let in_use = |handle: &u32| {
            self.sessions.get(&channel).is_some_and(|session| session.links.contains_key(handle))
        };
        (0..=handle_max).rev().find(|handle| !in_use(handle)).unwrap_or(handle_max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::line::craft;
    use crate::line::frames::Walker;

    fn note(links: &mut Links, frames: &[Vec<u8>]) {
        let mut walker = Walker::keeping(KEPT);
        for frame in frames {
            let (_, passed) = walker.step(frame);
            if let Some(passed) = passed {
                links.note(passed, walker.kept());
            }
        }
    }

    fn attach(channel: u16, name: &str, handle: u32, is_receiver: bool) -> Vec<u8> {
        let role = craft::boolean(is_receiver);
        let fields = [&craft::string(name)[..], &craft::uint(handle), &role];
        craft::frame(channel, &craft::composite(0x12, &fields))
    }

    fn detach(channel: u16, handle: u32) -> Vec<u8> {
        craft::frame(channel, &craft::composite(0x16, &[&craft::uint(handle)]))
    }

    fn begin(channel: u16) -> Vec<u8> {
        craft::frame(channel, &craft::composite(0x11, &[]))
    }

    fn end(channel: u16) -> Vec<u8> {
        craft::frame(channel, &craft::composite(0x17, &[]))
    }

    #[test]
    fn links_are_found_from_attach_to_detach_or_end() {
        let mut links = Links::default();
        note(&mut links, &[begin(2), attach(2, "a", 9, false), attach(2, "b", 4, true)]);
        assert_eq!(links.find(Some("a"), false), Some((2, 9)));
        assert_eq!(links.find(Some("a"), true), None);
        assert_eq!(links.find(None, true), Some((2, 4)));
        assert_eq!((links.channel(), links.free_channel(2)), (Some(2), 1));
        assert_eq!((links.free_handle(2, 9), links.free_handle(7, 9)), (8, 9));
        note(&mut links, &[detach(2, 9)]);
        assert_eq!(links.find(None, false), None);
        note(&mut links, &[end(2)]);
        assert_eq!((links.find(None, true), links.channel(), links.links), (None, None, 0));
        // Without a session there is no link.
        note(&mut links, &[attach(3, "c", 0, false)]);
        assert_eq!(links.find(None, false), None);
    }

    #[test]
    fn deliveries_are_numbered_on_from_what_the_engine_sent() {
        let mut links = Links::default();
        let transfer = |id: Option<u32>| {
            let id = id.map_or_else(|| craft::NULL.to_vec(), craft::uint);
            craft::frame(1, &craft::composite(0x14, &[&craft::uint(0), &id]))
        };
        note(&mut links, &[begin(1)]);
        assert_eq!([links.next_delivery(1), links.next_delivery(1)], [0, 1]);
        note(&mut links, &[transfer(Some(u32::MAX - 1)), transfer(None)]);
        assert_eq!([links.next_delivery(1), links.next_delivery(1)], [u32::MAX, 0]);
    }

    proptest! {
        /// The count of links is that of the links there are, whatever comes in whatever order.
        #[test]
        fn nothing_is_counted_twice(
            steps in proptest::collection::vec((0..4_u8, 0..3_u16, 0..3_u32), 0..60),
        ) {
            let mut links = Links::default();
            for (kind, channel, handle) in steps {
                let frame = match kind {
                    0 => begin(channel),
                    1 => attach(channel, "n", handle, false),
                    2 => detach(channel, handle),
                    _ => end(channel),
                };
                note(&mut links, &[frame]);
                let sessions = links.sessions.values();
                let all: usize = sessions.map(|session| session.links.len()).sum();
                prop_assert_eq!(links.links, all);
            }
        }
    }
}
