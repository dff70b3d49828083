//! One engine, and a peer that writes what it likes.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use eventhubs_amqp::codec::frame::{self, Header, Kind};
use eventhubs_amqp::codec::performative::{
    Attach, Begin, Close, Detach, Disposition, End as EndFrame, Flow, Open, Performative, Role,
    Transfer,
};
use eventhubs_amqp::codec::{AmqpError, FieldList, Source, Target, sasl};
use eventhubs_amqp::engine::{Event, LinkId, Options, SessionId, SessionOptions};

use crate::wire::{End, start, take_output};

/// A frame that the engine wrote.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Frame {
    Header([u8; 8]),
    Sasl(sasl::Frame),
    Empty,
    Amqp { channel: u16, performative: Performative, payload: Vec<u8>, fields: u32 },
}

impl Frame {
    pub(crate) fn performative(self) -> Option<Performative> {
        match self {
            Self::Amqp { performative, .. } => Some(performative),
            _ => None,
        }
    }
}

/// An engine whose peer is the test.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) now: Instant,
    pub(crate) end: End,
}

impl Raw {
    pub(crate) fn new(options: Options) -> Self {
        let now = start();
        Self { now, end: End::new(options, now) }
    }

    /// A listener without SASL that has opened.
    pub(crate) fn open() -> Self {
        Self::open_with(Options::listener("engine"))
    }

    pub(crate) fn open_with(options: Options) -> Self {
        let mut raw = Self::new(options);
        raw.bytes(b"AMQP\x00\x01\x00\x00");
        raw.frame(0, open());
        raw.end.engine.open();
        raw.end.events.clear();
        raw.sent();
        raw
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.end.feed(self.now, bytes);
    }

    pub(crate) fn frame(&mut self, channel: u16, performative: Performative) {
        let bytes = encoded(channel, &performative, &[]);
        self.bytes(&bytes);
    }

    pub(crate) fn transfer(&mut self, transfer: Transfer, payload: &[u8]) {
        let bytes = encoded(0, &Performative::Transfer(Box::new(transfer)), payload);
        self.bytes(&bytes);
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.end.engine.handle_timeout(self.now);
        self.end.collect();
    }

    /// Everything the engine wants to write.
    pub(crate) fn sent(&mut self) -> Vec<Frame> {
        let bytes = take_output(&mut self.end.engine, usize::MAX);
        frames(&bytes)
    }

    /// The performatives among them.
    pub(crate) fn performatives(&mut self) -> Vec<Performative> {
        self.sent().into_iter().filter_map(Frame::performative).collect()
    }

    /// A session on channel 0, with the peer's `begin`.
    pub(crate) fn session(&mut self, begin: Begin, options: SessionOptions) -> SessionId {
        self.frame(0, Performative::Begin(Box::new(begin)));
        let incoming = |event: &Event| match event {
            Event::Begin { session, incoming: true, .. } => Some(*session),
            _ => None,
        };
        let session = self.end.find(incoming).expect("a begin");
        self.end.engine.accept_session(session, options).unwrap();
        session
    }

    /// A link on channel 0 with the peer's handle 0, accepted with `answer`.
    pub(crate) fn link(&mut self, attach: Attach, answer: Attach) -> LinkId {
        self.frame(0, Performative::Attach(Box::new(attach)));
        let link = self.end.find(incoming_link).expect("an attach");
        self.end.engine.accept(link, answer).unwrap();
        link
    }

    /// A session and a link on which the engine receives, with `credit`.
    pub(crate) fn receiving(&mut self, credit: u32) -> LinkId {
        self.session(begin(), SessionOptions::default());
        let link = self.link(peer_attach(Role::Sender), crate::wire::answer());
        self.end.engine.set_credit(link, credit);
        self.sent();
        link
    }

    /// A session and a link on which the engine sends, with `credit`.
    pub(crate) fn sending(&mut self, credit: u32) -> LinkId {
        self.session(begin(), SessionOptions::default());
        let link = self.link(peer_attach(Role::Receiver), crate::wire::answer());
        self.frame(0, grant(0, credit));
        self.sent();
        link
    }
}

pub(crate) fn incoming_link(event: &Event) -> Option<LinkId> {
    match event {
        Event::Attach { link, incoming: true, .. } => Some(*link),
        _ => None,
    }
}

pub(crate) fn encoded(channel: u16, performative: &Performative, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    frame::write(&mut out, Kind::Amqp, channel, |out| {
        performative.encode(FieldList::Trimmed, out);
        out.extend_from_slice(payload);
    });
    out.to_vec()
}

pub(crate) fn sasl_frame(frame: &sasl::Frame) -> Vec<u8> {
    let mut out = BytesMut::new();
    frame::write(&mut out, Kind::Sasl, 0, |out| frame.encode(FieldList::Trimmed, out));
    out.to_vec()
}

/// A frame of any content.
pub(crate) fn frame_of(kind: u8, channel: u16, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + frame::HEADER_LEN).unwrap();
    let mut out = size.to_be_bytes().to_vec();
    out.extend_from_slice(&[2, kind]);
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(body);
    out
}

/// Cuts what an engine wrote into frames, which have to be whole.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        if let Some(header) = bytes.first_chunk::<8>()
            && header.starts_with(b"AMQP")
        {
            frames.push(Frame::Header(*header));
            bytes = &bytes[8..];
            continue;
        }
        let header = Header::decode(bytes).unwrap().expect("a frame header");
        let (whole, rest) = bytes.split_at(header.size as usize);
        bytes = rest;
        let body = &whole[header.body_start()..];
        frames.push(match header.kind {
            Kind::Sasl => Frame::Sasl(sasl::Frame::decode(body).unwrap()),
            Kind::Amqp if body.is_empty() => Frame::Empty,
            Kind::Amqp => {
                let (performative, used) = Performative::decode(body).unwrap();
                let payload = body[used..].to_vec();
                let (channel, fields) = (header.channel, field_count(body));
                Frame::Amqp { channel, performative, payload, fields }
            }
        });
    }
    frames
}

/// Fields in the list of a performative with a one-byte descriptor.
fn field_count(body: &[u8]) -> u32 {
    match body {
        [0x00, 0x53, _, 0x45, ..] => 0,
        [0x00, 0x53, _, 0xc0, _, count, ..] => u32::from(*count),
        [0x00, 0x53, _, 0xd0, _, _, _, _, a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]),
        other => panic!("no list: {other:02x?}"),
    }
}

pub(crate) fn open() -> Performative {
    let open = Open { container_id: "peer".to_owned(), ..Open::default() };
    Performative::Open(Box::new(open))
}

pub(crate) fn begin() -> Begin {
    Begin { incoming_window: 5000, outgoing_window: 5000, ..Begin::default() }
}

pub(crate) fn begin_frame() -> Performative {
    Performative::Begin(Box::new(begin()))
}

pub(crate) fn peer_attach(role: Role) -> Attach {
    peer_attach_on("link", 0, role)
}

pub(crate) fn peer_attach_on(name: &str, handle: u32, role: Role) -> Attach {
    Attach {
        name: name.to_owned(),
        handle,
        role,
        source: Some(Source::new("from")),
        target: Some(Target::new("to")),
        initial_delivery_count: (role == Role::Sender).then_some(0),
        ..Attach::default()
    }
}

pub(crate) fn attach_frame(name: &str, handle: u32, role: Role) -> Performative {
    Performative::Attach(Box::new(peer_attach_on(name, handle, role)))
}

/// Credit from a receiving peer that has seen `count` deliveries.
pub(crate) fn grant(count: u32, credit: u32) -> Performative {
    flow(Flow {
        handle: Some(0),
        delivery_count: Some(count),
        link_credit: Some(credit),
        ..session_flow(0)
    })
}

/// The session half of a flow of a peer that has seen `seen` transfers.
pub(crate) fn session_flow(seen: u32) -> Flow {
    Flow {
        next_incoming_id: Some(seen),
        incoming_window: 5000,
        next_outgoing_id: 0,
        outgoing_window: 5000,
        ..Flow::default()
    }
}

pub(crate) fn flow(flow: Flow) -> Performative {
    Performative::Flow(Box::new(flow))
}

pub(crate) fn detach_frame(handle: u32, error: Option<AmqpError>) -> Performative {
    Performative::Detach(Detach { handle, closed: true, error })
}

pub(crate) fn end_frame() -> Performative {
    Performative::End(EndFrame::default())
}

pub(crate) fn close_frame() -> Performative {
    Performative::Close(Close::default())
}

pub(crate) fn disposition(first: u32, last: u32, settled: bool) -> Performative {
    let state = Some(eventhubs_amqp::codec::DeliveryState::Accepted);
    let role = Role::Receiver;
    let last = Some(last);
    Performative::Disposition(Disposition { role, first, last, settled, state, batchable: false })
}

/// A whole delivery on handle 0.
pub(crate) fn delivery(id: u32) -> Transfer {
    Transfer {
        handle: 0,
        delivery_id: Some(id),
        delivery_tag: Some(bytes::Bytes::copy_from_slice(&id.to_be_bytes())),
        message_format: Some(0),
        settled: Some(true),
        ..Transfer::default()
    }
}
