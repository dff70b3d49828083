//! Frames that no peer should write, made by hand.

use bytes::Bytes;

use super::craft::{self, NULL, code};
use super::links::Links;
use super::message::Message;
#[cfg(feature = "json")]
use crate::fault::json::base64_bytes;

/// Most levels of nesting that are made.
const DEPTH_MAX: u32 = 1_000_000;
/// Largest frame that is made, whatever larger ones the client takes.
const FRAME_MAX: u32 = 65_536;
/// The smallest max-frame-size that AMQP allows.
const MIN_MAX_FRAME_SIZE: u32 = 512;
/// Bytes of a flow besides the value in its properties, at most.
const FLOW_HEAD: u32 = 128;
/// What the service announces as channel-max and handle-max, and so the limits for what is unknown.
const CHANNEL_MAX: u16 = 4_999;
const HANDLE_MAX: u32 = 255;

/// A frame, or a few, that breaks a rule of AMQP 1.0.
///
/// It is written between two frames of the emulator's own, as it is: the emulator's bookkeeping
/// does not learn of it. Fields named `link` choose a link by its name; without one, any link of
/// the connection does on which the client receives, and without such a link handle 0 of
/// channel 0. `S` numbers are the rows of the project's fault matrix.
///
/// In JSON a variant without content is a string, `"second-open"`, and any other an object with
/// one key, `{"size":3}`; raw bytes are base64.
///
/// ```
/// use eventhubs_emulator::{BadFrame, Place};
///
/// let frame = BadFrame::Nested { place: Place::Body, depth: 10_000, link: None };
/// assert_ne!(frame, BadFrame::Size(7));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "kebab-case", deny_unknown_fields))]
#[non_exhaustive]
pub enum BadFrame {
    /// The header of a frame of this size and nothing more: below 8 a frame is smaller than its
    /// own header (S28), 2 147 483 648 is 2 GiB (S29).
    Size(u32),
    /// The header of a frame one byte larger than the client's max-frame-size (S29). Of a client
    /// without a limit, 2^32 - 1.
    SizeOverLimit,
    /// A frame of 16 bytes with this data offset (DOFF): below 2 its body begins inside its
    /// header, above 4 beyond its end. 3 and 4 are legal (S30).
    DataOffset(u8),
    /// An empty frame of this type; 0 is AMQP and 1 is SASL, the others are nothing (S31).
    FrameType(u8),
    /// A performative with this number, on channel 0 (S31).
    UnknownPerformative(u64),
    /// A message with a section that does not exist (S31).
    UnknownSection {
        /// The link.
        #[cfg_attr(feature = "json", serde(default))]
        link: Option<String>,
    },
    /// Another open (S32).
    SecondOpen,
    /// A begin on a channel that is in use (S32).
    BeginInUse,
    /// A frame on a channel that is not in use (S32).
    UnknownChannel(Stray),
    /// A frame for a handle that is not in use, on a channel that is (S32).
    UnknownHandle(Stray),
    /// A value inside a value and so on, at most 1 000 000 deep (S33). Described values of two
    /// bytes a level, so that 10 000 of them fit into the smallest flow.
    Nested {
        /// Where.
        place: Place,
        /// How many levels.
        depth: u32,
        /// The link, where the place is a message.
        #[cfg_attr(feature = "json", serde(default))]
        link: Option<String>,
    },
    /// The same with lists, of nine bytes a level (S33).
    NestedLists {
        /// Where.
        place: Place,
        /// How many levels; in a flow no more than fit into a frame.
        depth: u32,
        /// The link, where the place is a message.
        #[cfg_attr(feature = "json", serde(default))]
        link: Option<String>,
    },
    /// A length or count that is not true (S34).
    Lie {
        /// The lie.
        lie: Lie,
        /// Where.
        place: Place,
        /// The link, where the place is a message.
        #[cfg_attr(feature = "json", serde(default))]
        link: Option<String>,
    },
    /// An accepted and settled disposition of deliveries that the client sent, or did not (S19):
    /// of ids it has not used, with `first` above `last`, up to 2^32 - 1.
    Disposition {
        /// First delivery id.
        first: u32,
        /// Last delivery id; the same as `first` when left out.
        #[cfg_attr(feature = "json", serde(default))]
        last: Option<u32>,
    },
    /// Whole messages, whatever credit there is (S24).
    Transfers {
        /// How many.
        count: u64,
        /// Bytes of each message's body. A message larger than a frame takes several.
        bytes: u64,
        /// The link.
        #[cfg_attr(feature = "json", serde(default))]
        link: Option<String>,
    },
    /// A message begun and aborted (S26).
    Aborted {
        /// The link.
        #[cfg_attr(feature = "json", serde(default))]
        link: Option<String>,
    },
    /// A message begun and never finished (S26).
    Unfinished {
        /// Bytes of its body that are sent.
        bytes: u64,
        /// The link.
        #[cfg_attr(feature = "json", serde(default))]
        link: Option<String>,
    },
    /// These bytes, whatever they are.
    Raw(#[cfg_attr(feature = "json", serde(with = "base64_bytes"))] Bytes),
}

/// What a frame is that has no session or link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "kebab-case"))]
pub enum Stray {
    /// A transfer with a small message.
    Transfer,
    /// A flow of a link.
    Flow,
    /// A detach.
    Detach,
}

/// Where something bad is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "kebab-case"))]
pub enum Place {
    /// In the properties of a session's flow.
    FlowProperties,
    /// In the annotations of a message.
    MessageAnnotations,
    /// In the body of a message, an amqp-value.
    Body,
}

/// A length or count that is not true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "kebab-case"))]
pub enum Lie {
    /// A string of 4 GiB, of which four bytes are there.
    HugeString,
    /// A list of 2^32 - 1 items, of which one is there.
    HugeCount,
    /// A map of three items.
    OddMap,
    /// A short list whose size has no room for its count.
    EmptyList,
    /// A short array whose size has no room for a constructor.
    ShortArray,
}

/// What is known of a connection when a bad frame is made.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) links: &'a mut Links,
    /// The largest frame that the client takes.
    pub(super) max_frame_size: u32,
}

impl Scene<'_> {
    /// The largest frame to make.
    pub(super) fn frame_max(&self) -> u32 {
        self.max_frame_size.clamp(MIN_MAX_FRAME_SIZE, FRAME_MAX)
    }

    /// Channel and handle of a link on which the client receives.
    pub(super) fn link(&self, name: Option<&str>) -> (u16, u32) {
        self.links.find(name, false).unwrap_or_default()
    }

    fn channel(&self) -> u16 {
        self.links.channel().unwrap_or_default()
    }
}

impl BadFrame {
    /// The bytes of its part number `index`, counted from 0, which are not always a frame; `None`
    /// behind the last one.
    pub(super) fn part(&self, index: u64, scene: &mut Scene<'_>) -> Option<Vec<u8>> {
        match self {
            Self::Nested { place: Place::FlowProperties, .. }
            | Self::NestedLists { place: Place::FlowProperties, .. }
            | Self::Lie { place: Place::FlowProperties, .. } => {}
            Self::UnknownSection { link } => {
                let message = craft::section(code::NO_SECTION, &craft::binary(b"?"));
                return Message::whole(&message, 1).part(index, link.as_deref(), scene);
            }
            Self::Nested { place, depth, link } => {
                let value = craft::nested(bounded(*depth, DEPTH_MAX));
                let message = place.section(&value);
                return Message::whole(&message, 1).part(index, link.as_deref(), scene);
            }
            Self::NestedLists { place, depth, link } => {
                let value = craft::nested_lists(bounded(*depth, DEPTH_MAX));
                let message = place.section(&value);
                return Message::whole(&message, 1).part(index, link.as_deref(), scene);
            }
            Self::Lie { lie, place, link } => {
                let message = match (lie, place) {
                    // The odd map is the annotations themselves.
                    (Lie::OddMap, Place::MessageAnnotations) => {
                        craft::section(code::MESSAGE_ANNOTATIONS, &lie.value())
                    }
                    _ => place.section(&lie.value()),
                };
                return Message::whole(&message, 1).part(index, link.as_deref(), scene);
            }
            Self::Transfers { count, bytes, link } => {
                return Message::filler(*bytes, *count).part(index, link.as_deref(), scene);
            }
            Self::Aborted { link } => {
                return Message::aborted().part(index, link.as_deref(), scene);
            }
            Self::Unfinished { bytes, link } => {
                return Message::unfinished(*bytes).part(index, link.as_deref(), scene);
            }
            _ => {}
        }
        (index == 0).then(|| self.single(scene))
    }

    /// Those that are one frame, or less.
    fn single(&self, scene: &Scene<'_>) -> Vec<u8> {
        match self {
            Self::Size(size) => craft::header(*size, 2, 0, 0).to_vec(),
            Self::SizeOverLimit => {
                craft::header(scene.max_frame_size.saturating_add(1), 2, 0, 0).to_vec()
            }
            Self::DataOffset(doff) => [craft::header(16, *doff, 0, 0), [0; 8]].concat(),
            Self::FrameType(layer) => craft::header(8, 2, *layer, 0).to_vec(),
            Self::UnknownPerformative(number) => {
                craft::frame(0, &[&[0x00, 0x80], &number.to_be_bytes()[..], &[0x45]].concat())
            }
            Self::SecondOpen => {
                craft::frame(0, &craft::composite(code::OPEN, &[&craft::string("second")]))
            }
            Self::BeginInUse => {
                let window = craft::uint(5_000);
                let fields: [&[u8]; 4] = [&NULL, &craft::uint(1), &window, &window];
                craft::frame(scene.channel(), &craft::composite(code::BEGIN, &fields))
            }
            Self::UnknownChannel(stray) => {
                craft::frame(scene.links.free_channel(CHANNEL_MAX), &stray.performative(0))
            }
            Self::UnknownHandle(stray) => {
                let channel = scene.channel();
                let handle = scene.links.free_handle(channel, HANDLE_MAX);
                craft::frame(channel, &stray.performative(handle))
            }
            Self::Nested { depth, .. } => {
                flow(scene, &in_map(&craft::nested(fitting(*depth, 2, scene))))
            }
            Self::NestedLists { depth, .. } => {
                flow(scene, &in_map(&craft::nested_lists(fitting(*depth, 9, scene))))
            }
            Self::Lie { lie: Lie::OddMap, .. } => flow(scene, &Lie::OddMap.value()),
            Self::Lie { lie, .. } => flow(scene, &in_map(&lie.value())),
            Self::Disposition { first, last } => {
                let last = last.map_or_else(|| NULL.to_vec(), craft::uint);
                let accepted = craft::composite(code::ACCEPTED, &[]);
                let role = craft::boolean(true);
                let settled = craft::boolean(true);
                let fields: [&[u8]; 5] = [&role, &craft::uint(*first), &last, &settled, &accepted];
                craft::frame(scene.channel(), &craft::composite(code::DISPOSITION, &fields))
            }
            Self::Raw(bytes) => bytes.to_vec(),
            Self::UnknownSection { .. }
            | Self::Transfers { .. }
            | Self::Aborted { .. }
            | Self::Unfinished { .. } => Vec::new(),
        }
    }
}

fn bounded(depth: u32, most: u32) -> usize {
    depth.min(most) as usize
}

/// As many levels of `width` bytes as fit into one frame.
fn fitting(depth: u32, width: u32, scene: &Scene<'_>) -> usize {
    bounded(depth, (scene.frame_max() - FLOW_HEAD) / width)
}

/// A flow of a session with these properties.
fn flow(scene: &Scene<'_>, properties: &[u8]) -> Vec<u8> {
    let window = craft::uint(5_000);
    let mut fields: [&[u8]; 11] = [&NULL; 11];
    let next = craft::uint(1);
    (fields[1], fields[2], fields[3], fields[10]) = (&window, &next, &window, properties);
    craft::frame(scene.channel(), &craft::composite(code::FLOW, &fields))
}

/// A map that holds one value.
fn in_map(value: &[u8]) -> Vec<u8> {
    craft::map(&[&craft::symbol("x-bad"), value])
}

impl Stray {
    fn performative(self, handle: u32) -> Vec<u8> {
        let handle = craft::uint(handle);
        match self {
            Self::Transfer => {
                let fields: [&[u8]; 5] =
                    [&handle, &craft::uint(0), &craft::binary(b"0"), &NULL, &craft::boolean(true)];
                let message = craft::section(code::DATA, &craft::binary(b"stray"));
                [craft::composite(code::TRANSFER, &fields), message].concat()
            }
            Self::Flow => {
                let mut fields: [&[u8]; 7] = [&NULL; 7];
                let window = craft::uint(5_000);
                let one = craft::uint(1);
                (fields[1], fields[2], fields[3]) = (&window, &one, &window);
                (fields[4], fields[5], fields[6]) = (&handle, &one, &one);
                craft::composite(code::FLOW, &fields)
            }
            Self::Detach => craft::composite(code::DETACH, &[&handle, &craft::boolean(true)]),
        }
    }
}

impl Place {
    /// A message that holds `value` there, and nothing else.
    fn section(self, value: &[u8]) -> Vec<u8> {
        match self {
            Self::MessageAnnotations => craft::section(code::MESSAGE_ANNOTATIONS, &in_map(value)),
            Self::FlowProperties | Self::Body => craft::section(code::VALUE, value),
        }
    }
}

impl Lie {
    fn value(self) -> Vec<u8> {
        match self {
            Self::HugeString => vec![0xb1, 0xff, 0xff, 0xff, 0xff, b'h', b'u', b'g', b'e'],
            Self::HugeCount => vec![0xd0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x40],
            Self::OddMap => craft::compound(
                0xd1,
                3,
                &[craft::symbol("x-a"), NULL.to_vec(), craft::symbol("x-b")].concat(),
            ),
            Self::EmptyList => vec![0xc0, 0],
            Self::ShortArray => vec![0xe0, 1, 0],
        }
    }
}

#[cfg(test)]
mod tests;
