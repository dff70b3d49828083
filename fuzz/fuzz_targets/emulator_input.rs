#![no_main]
//! A client's bytes to a whole emulator in memory: nothing panics, nothing is left running, memory
//! stays in proportion, and what is stored is numbered without a gap.

use std::cell::RefCell;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use eventhubs_amqp::codec::frame::{self, Kind, ProtocolHeader};
use eventhubs_amqp::codec::performative::{
    Attach, Begin, Flow, Open, Performative, Role, Transfer,
};
use eventhubs_amqp::codec::{FieldList, Source, Target, sasl};
use eventhubs_emulator::{Config, Emulator, Throughput, Tier};
use eventhubs_fuzz::{PER_BYTE, peak};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

/// Memory for the namespace, a connection's tables and its buffers.
const EMULATOR: usize = 8 << 20;
/// Silence of the emulator, on a clock that jumps when everybody waits, after which it has nothing
/// more to say.
const QUIET: Duration = Duration::from_millis(200);
const KEY: &str = "\0RootManageSharedAccessKey\0SAS_KEY_VALUE";
/// Nodes of the links that a trusted client has: those it sends to, then those it receives from.
const SENDS_TO: [&str; 4] = ["$cbs", "$management", "hub", "hub/Partitions/0"];
const RECEIVES_FROM: [&str; 3] =
    ["$cbs", "$management", "hub/ConsumerGroups/$Default/Partitions/0"];
/// What the batch envelope is called.
const BATCH: u32 = 0x8001_3700;

thread_local! {
    static RUNTIME: RefCell<Runtime> = RefCell::new(
        Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime"),
    );
}

/// What the fuzzer's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    /// Everything from the first byte.
    All,
    /// Everything after a client has opened, begun and attached to every node.
    Frames,
    /// Bodies of frames: channel, length, body.
    Bodies,
    /// Messages: link and format, length, payload.
    Messages,
}

/// The first two bytes choose how the rest is used.
struct Plan {
    given: Given,
    /// Bytes per write; 0 is everything at once.
    chunk: usize,
    config: Config,
}

impl Plan {
    fn new(first: u8, second: u8) -> Self {
        let given = [Given::All, Given::Frames, Given::Bodies, Given::Messages];
        let tiers = [Tier::Basic, Tier::Standard, Tier::Premium, Tier::Dedicated];
        let mut config = Config::default()
            .in_memory()
            .with_hub("hub", 2)
            .with_tier(tiers[usize::from(second & 3)])
            .with_jwt(second & 4 != 0)
            .with_geo_replication(second & 8 != 0)
            .with_lenient(second & 16 != 0);
        if second & 32 != 0 {
            config = config.with_throughput(Throughput::units(1));
        }
        Self {
            given: given[usize::from(first & 3)],
            chunk: [0, 1, 7, 8, 13, 64, 511, 4096][usize::from(first >> 2 & 7)],
            config,
        }
    }
}

/// Takes `count` bytes off the front, or what there is.
fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(count.min(rest.len()));
    *rest = left;
    taken
}

fn put(out: &mut BytesMut, channel: u16, performative: Performative) {
    frame::write(out, Kind::Amqp, channel, |out| performative.encode(FieldList::Full, out));
}

/// What a client says before it is of interest: who it is, and a link to every node.
fn introduction() -> BytesMut {
    let mut out = BytesMut::from(&ProtocolHeader::SASL.encode()[..]);
    let init = sasl::Init {
        mechanism: "PLAIN".into(),
        initial_response: Some(KEY.as_bytes().into()),
        hostname: None,
    };
    frame::write(&mut out, Kind::Sasl, 0, |out| {
        sasl::Frame::Init(init).encode(FieldList::Full, out);
    });
    out.put_slice(&ProtocolHeader::AMQP.encode());
    put(&mut out, 0, Open { container_id: "client".into(), ..Open::default() }.into());
    let begin = Begin { incoming_window: 1000, outgoing_window: 1000, ..Begin::default() };
    put(&mut out, 0, begin.into());
    let links = SENDS_TO.map(|node| (Role::Sender, node));
    let links = links.into_iter().chain(RECEIVES_FROM.map(|node| (Role::Receiver, node)));
    for (handle, (role, node)) in (0..).zip(links) {
        let (source, target) = match role {
            Role::Sender => ("me", node),
            Role::Receiver => (node, "me"),
        };
        let attach = Attach {
            name: format!("link-{handle}"),
            handle,
            role,
            source: Some(Source::new(source)),
            target: Some(Target::new(target)),
            initial_delivery_count: Some(0),
            ..Attach::default()
        };
        put(&mut out, 0, attach.into());
        if role == Role::Receiver {
            let flow = Flow {
                next_incoming_id: Some(1),
                incoming_window: 1000,
                outgoing_window: 1000,
                handle: Some(handle),
                delivery_count: Some(0),
                link_credit: Some(10),
                ..Flow::default()
            };
            put(&mut out, 0, flow.into());
        }
    }
    out
}

fn bodies(mut rest: &[u8], out: &mut BytesMut) {
    while let [channel, length, ..] = *rest {
        rest = &rest[2..];
        let body = take(&mut rest, usize::from(length));
        frame::write(out, Kind::Amqp, u16::from(channel & 3), |out| out.put_slice(body));
    }
}

fn messages(mut rest: &[u8], out: &mut BytesMut) {
    let mut id = 0_u32;
    while let [head, high, low, ..] = *rest {
        rest = &rest[3..];
        let payload = take(&mut rest, usize::from(u16::from_be_bytes([high, low])));
        let transfer = Transfer {
            handle: u32::from(head) % SENDS_TO.len() as u32,
            delivery_id: Some(id),
            delivery_tag: Some(id.to_be_bytes().to_vec().into()),
            message_format: Some(if head & 16 != 0 { BATCH } else { 0 }),
            settled: Some(head & 32 != 0),
            more: head & 64 != 0,
            ..Transfer::default()
        };
        // The next one goes on with this delivery.
        id += u32::from(head & 64 == 0);
        frame::write(out, Kind::Amqp, 0, |out| {
            Performative::from(transfer).encode(FieldList::Full, out);
            out.put_slice(payload);
        });
    }
}

fn input(given: Given, rest: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    match given {
        Given::All | Given::Frames => out.put_slice(rest),
        Given::Bodies => bodies(rest, &mut out),
        Given::Messages => messages(rest, &mut out),
    }
    out
}

async fn run(plan: &Plan, input: &[u8]) {
    let emulator = Emulator::start(plan.config.clone()).await.expect("it starts");
    let (mut read, mut write) = tokio::io::split(emulator.connect_memory());
    let speak = async {
        if plan.given != Given::All {
            let _ = write.write_all(&introduction()).await;
            // No message may come before there is credit for it.
            let _ = tokio::time::timeout(QUIET / 2, std::future::pending::<()>()).await;
        }
        let chunk = if plan.chunk == 0 { input.len().max(1) } else { plan.chunk };
        for piece in input.chunks(chunk) {
            if write.write_all(piece).await.is_err() {
                return;
            }
        }
        let _ = write.flush().await;
    };
    let listen = async {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(Ok(1..)) = tokio::time::timeout(QUIET, read.read(&mut buffer)).await {}
    };
    // A client that is cut off cannot write its rest, and one that writes keeps the other waiting.
    let both = async { tokio::join!(speak, listen) };
    let _ = tokio::time::timeout(60 * QUIET, both).await;
    for partition in 0..2 {
        let Ok(events) = emulator.events("hub", partition) else { continue };
        for pair in events.windows(2) {
            assert_eq!(pair[0].sequence + 1, pair[1].sequence);
        }
    }
    drop((read, write));
    emulator.shutdown().await;
}

fuzz_target!(|data: &[u8]| {
    let [first, second, rest @ ..] = data else { return };
    let plan = Plan::new(*first, *second);
    let input = input(plan.given, rest);
    let ((), used) = peak(|| {
        RUNTIME.with_borrow(|runtime| {
            runtime.block_on(run(&plan, &input));
            assert_eq!(runtime.metrics().num_alive_tasks(), 0, "something is left running");
        });
    });
    assert!(used <= EMULATOR + PER_BYTE * data.len(), "{used} bytes for {}", data.len());
});
