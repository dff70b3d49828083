//! A peer that reads and writes frames by hand, so that it can fall silent, lag and withhold.

use bytes::BytesMut;
use eventhubs_amqp::codec::frame::{self, Header, Kind};
use eventhubs_amqp::codec::performative::{
    Attach, Begin, Detach, Disposition, Flow, Open, Performative, Role, Transfer,
};
use eventhubs_amqp::codec::{DeliveryState, FieldList};
use eventhubs_amqp::engine::Options;
use eventhubs_amqp::net::{
    Connection, ConnectionOptions, Error, Receiver, ReceiverOptions, Sender, SenderOptions,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const AMQP: [u8; 8] = *b"AMQP\x00\x01\x00\x00";

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) stream: DuplexStream,
    input: BytesMut,
}

/// Lets everybody do what there is to do, without time passing.
pub(crate) async fn settle_down() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// Waits for what has to come by itself: an hour of a paused clock is over when nobody moves.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    let hour = std::time::Duration::from_secs(3600);
    tokio::time::timeout(hour, future).await.expect("this waits for ever")
}

/// A client and the raw peer it is connected to.
pub(crate) async fn connected() -> (Connection, Peer) {
    connected_with(ConnectionOptions::with_engine(Options::dialler("client")), 1 << 20).await
}

pub(crate) async fn connected_with(
    options: ConnectionOptions,
    capacity: usize,
) -> (Connection, Peer) {
    let (ours, theirs) = tokio::io::duplex(capacity);
    let (connection, peer) =
        tokio::join!(Connection::dial_over(ours, options), Peer::open(theirs, Open::default()));
    (connection.expect("the peer opens"), peer)
}

impl Peer {
    /// Takes header and open, and answers them.
    pub(crate) async fn open(stream: DuplexStream, open: Open) -> Self {
        let mut peer = Self { stream, input: BytesMut::new() };
        let mut header = [0; 8];
        peer.stream.read_exact(&mut header).await.expect("a header");
        assert_eq!(header, AMQP);
        peer.stream.write_all(&AMQP).await.expect("the client reads");
        let (_, performative, _) = peer.next().await;
        assert_eq!(performative.name(), "open");
        let open = Open { container_id: "peer".to_owned(), ..open };
        peer.write(0, Performative::Open(Box::new(open))).await;
        peer
    }

    /// The next frame that is no heartbeat; panics when there is none.
    pub(crate) async fn next(&mut self) -> (u16, Performative, Vec<u8>) {
        self.maybe_next().await.expect("the client goes on writing")
    }

    /// The next frame, or nothing at the end of the stream.
    pub(crate) async fn maybe_next(&mut self) -> Option<(u16, Performative, Vec<u8>)> {
        loop {
            if let Ok(Some(header)) = Header::decode(&self.input)
                && self.input.len() >= header.size as usize
            {
                let frame = self.input.split_to(header.size as usize);
                let body = &frame[header.body_start()..];
                if body.is_empty() {
                    continue;
                }
                let (performative, used) = Performative::decode(body).expect("a performative");
                return Some((header.channel, performative, body[used..].to_vec()));
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Frames up to one of this name, which is given.
    pub(crate) async fn until(&mut self, name: &str) -> (u16, Performative, Vec<u8>) {
        loop {
            let next = self.next().await;
            if next.1.name() == name {
                return next;
            }
        }
    }

    pub(crate) async fn write(&mut self, channel: u16, performative: Performative) {
        self.write_payload(channel, performative, &[]).await;
    }

    pub(crate) async fn write_payload(
        &mut self,
        channel: u16,
        performative: Performative,
        payload: &[u8],
    ) {
        let mut out = BytesMut::new();
        frame::write(&mut out, Kind::Amqp, channel, |out| {
            performative.encode(FieldList::Trimmed, out);
            out.extend_from_slice(payload);
        });
        // A client that has gone is what some tests are about.
        let _ = self.stream.write_all(&out).await;
    }

    /// Takes a begin and answers it on the same channel.
    pub(crate) async fn begin(&mut self) -> u16 {
        self.begin_with(5000).await
    }

    pub(crate) async fn begin_with(&mut self, incoming_window: u32) -> u16 {
        let (channel, _, _) = self.until("begin").await;
        let begin = Begin {
            remote_channel: Some(channel),
            incoming_window,
            outgoing_window: 5000,
            ..Begin::default()
        };
        self.write(channel, Performative::Begin(Box::new(begin))).await;
        channel
    }

    /// Takes an attach without answering it.
    pub(crate) async fn attached(&mut self) -> Attach {
        match self.until("attach").await {
            (_, Performative::Attach(attach), _) => *attach,
            other => panic!("an attach was due, not {other:?}"),
        }
    }

    /// Answers an attach on the same handle.
    pub(crate) async fn accept(&mut self, channel: u16, attach: &Attach) {
        let role = attach.role.peer();
        let initial_delivery_count = (role == Role::Sender).then_some(0);
        let answer = Attach { role, initial_delivery_count, ..attach.clone() };
        self.write(channel, Performative::Attach(Box::new(answer))).await;
    }

    pub(crate) async fn grant(&mut self, channel: u16, handle: u32, count: u32, credit: u32) {
        let flow = Flow {
            next_incoming_id: Some(count),
            incoming_window: 5000,
            outgoing_window: 5000,
            handle: Some(handle),
            delivery_count: Some(count),
            link_credit: Some(credit),
            ..Flow::default()
        };
        self.write(channel, Performative::Flow(Box::new(flow))).await;
    }

    pub(crate) async fn detach(&mut self, channel: u16, handle: u32) {
        let detach = Detach { handle, closed: true, error: None };
        self.write(channel, Performative::Detach(detach)).await;
    }

    pub(crate) async fn deliver(&mut self, channel: u16, id: u32, settled: bool, payload: &[u8]) {
        let transfer = Transfer { settled: Some(settled), ..transfer(id) };
        self.write_payload(channel, Performative::Transfer(Box::new(transfer)), payload).await;
    }

    /// Accepts and settles deliveries of the client.
    pub(crate) async fn settle(&mut self, channel: u16, first: u32, last: u32) {
        self.settle_with(channel, first, last, DeliveryState::Accepted, true).await;
    }

    pub(crate) async fn settle_with(
        &mut self,
        channel: u16,
        first: u32,
        last: u32,
        state: DeliveryState,
        settled: bool,
    ) {
        let disposition = Disposition {
            role: Role::Receiver,
            first,
            last: Some(last),
            settled,
            state: Some(state),
            batchable: false,
        };
        self.write(channel, Performative::Disposition(disposition)).await;
    }
}

/// A whole delivery on handle 0.
pub(crate) fn transfer(id: u32) -> Transfer {
    Transfer {
        handle: 0,
        delivery_id: Some(id),
        delivery_tag: Some(bytes::Bytes::copy_from_slice(&id.to_be_bytes())),
        message_format: Some(0),
        ..Transfer::default()
    }
}

/// A sender of the client on a session of its own, with `credit`.
pub(crate) async fn sender(
    connection: &Connection,
    peer: &mut Peer,
    options: SenderOptions,
    credit: u32,
) -> (Sender, u16) {
    let answer = async {
        let channel = peer.begin().await;
        let attach = peer.attached().await;
        peer.accept(channel, &attach).await;
        if credit > 0 {
            peer.grant(channel, 0, 0, credit).await;
        }
        channel
    };
    let (sender, channel) = tokio::join!(connection.sender(options), answer);
    (sender.expect("attached"), channel)
}

/// A receiver of the client on a session of its own.
pub(crate) async fn receiver(
    connection: &Connection,
    peer: &mut Peer,
    options: ReceiverOptions,
) -> (Receiver, u16) {
    let answer = async {
        let channel = peer.begin().await;
        let attach = peer.attached().await;
        peer.accept(channel, &attach).await;
        channel
    };
    let (receiver, channel) = tokio::join!(connection.receiver(options), answer);
    (receiver.expect("attached"), channel)
}

/// The connection works: a link can be attached, used and detached.
pub(crate) async fn assert_usable(connection: &Connection, peer: &mut Peer) -> Result<(), Error> {
    let client = async {
        let sender = connection.sender(SenderOptions::to("probe")).await?;
        let outcome = sender.send("probe".into(), 0).await;
        assert_eq!(outcome, Ok(DeliveryState::Accepted));
        sender.detach().await;
        Ok(())
    };
    let answer = async {
        loop {
            let channel = peer.begin().await;
            let attach = peer.attached().await;
            peer.accept(channel, &attach).await;
            peer.grant(channel, attach.handle, 0, 1).await;
            peer.until("transfer").await;
            peer.settle(channel, 0, 0).await;
            peer.until("detach").await;
            peer.detach(channel, attach.handle).await;
        }
    };
    tokio::select! {
        result = client => result,
        () = answer => Ok(()),
    }
}
