//! Any faults at any time: the emulator neither fails nor lies about what it stored, and is sound
//! again when they are lifted.

use std::collections::HashMap;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use eventhubs_amqp::codec::DeliveryState;
use eventhubs_amqp::engine::{LinkId, Outgoing};
use eventhubs_emulator::{
    BadFrame, Direction, Effect, Emulator, Fault, FaultId, Outcome, Performative, Place, Point,
    Reason, Role, Scope, Stray,
};

use crate::client::{Client, Node, What, event, from, text, to};

const SEEDS: u64 = 20;
const STEPS: u64 = 120;

/// Panics of the emulator, which tasks swallow.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn count_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.location().is_some_and(|at| at.file().contains("/src/")) {
                PANICS.fetch_add(1, Ordering::Relaxed);
            }
            before(info);
        }));
    });
}

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let index = self.below(from.len() as u64) as usize;
        from[index].clone()
    }

    fn time(&mut self) -> Duration {
        Duration::from_millis(self.below(5_000))
    }

    fn reason(&mut self) -> Option<Reason> {
        let conditions = ["amqp:not-found", "amqp:link:stolen", "com.microsoft:server-busy", ""];
        match self.pick(&conditions) {
            "" => None,
            condition => Some(Reason::new(condition, "chaos")),
        }
    }

    fn point(&mut self) -> Point {
        use Performative as P;
        let direction = self.pick(&[Direction::In, Direction::Out, Direction::Both]);
        let kinds = [P::Open, P::Begin, P::Attach, P::Flow, P::Transfer, P::Disposition];
        let ends = [P::Detach, P::End, P::Close, P::Empty];
        let performative = match self.below(3) {
            0 => self.pick(&ends),
            _ => self.pick(&kinds),
        };
        let count = self.below(40) + 1;
        self.pick(&[
            Point::Now,
            Point::Accept,
            Point::Open,
            Point::Begin,
            Point::Attach,
            Point::PutToken,
            Point::Management,
            Point::Publish,
            Point::Publish,
            Point::Stored,
            Point::Deliver,
            Point::Deliver,
            Point::FramesIn(count),
            Point::FramesOut(count),
            Point::BytesIn(count * 10),
            Point::BytesOut(count * 10),
            Point::Frame { direction, performative },
        ])
    }

    fn frame(&mut self) -> BadFrame {
        let place = self.pick(&[Place::FlowProperties, Place::MessageAnnotations, Place::Body]);
        let (size, doff) = (self.below(8) as u32, self.below(8) as u8);
        self.pick(&[
            BadFrame::Size(size),
            BadFrame::DataOffset(doff),
            BadFrame::UnknownPerformative(0x99),
            BadFrame::SecondOpen,
            BadFrame::BeginInUse,
            BadFrame::UnknownHandle(Stray::Flow),
            BadFrame::Nested { place, depth: 500, link: None },
            BadFrame::Transfers { count: 3, bytes: 100, link: None },
            BadFrame::Unfinished { bytes: 10, link: None },
        ])
    }

    /// Effects that never claim an outcome that is not true.
    fn effect(&mut self) -> Effect {
        let (time, other) = (self.time(), self.time());
        let reason = self.reason();
        let error = reason.clone().unwrap_or_else(|| Reason::bare("amqp:internal-error"));
        let after = (self.below(2) == 0).then_some(other);
        let direction = self.pick(&[Direction::In, Direction::Out, Direction::Both]);
        let (few, first) = (self.below(5) as u32 + 1, u32::MAX - self.below(5) as u32);
        let frame = self.frame();
        let outcome =
            self.pick(&[Outcome::Released, Outcome::Modified, Outcome::Rejected(reason.clone())]);
        let omitted = self.pick(&["status-code", "partition_ids", "nothing"]).to_owned();
        self.pick(&[
            Effect::Detach(reason.clone()),
            Effect::End(reason.clone()),
            Effect::Close(reason),
            Effect::Eof,
            Effect::Reset,
            Effect::Silence(direction),
            Effect::Truncate,
            Effect::Write(frame),
            Effect::WithdrawCredit(time),
            Effect::Overrun(few),
            Effect::ShutWindow(time),
            Effect::Refuse(error.clone()),
            Effect::Delay(time),
            Effect::Ignore,
            Effect::RefuseLate { error, after },
            Effect::answer(503, "com.microsoft:server-busy", "chaos"),
            Effect::Twice,
            Effect::Malformed,
            Effect::Omit(omitted),
            Effect::Outcome(outcome),
            Effect::LoseAcknowledgement,
            Effect::DelayAcknowledgement(time),
            Effect::Drop,
            Effect::Duplicate,
            Effect::Replace(Bytes::from_static(b"no message")),
            Effect::Abort,
            Effect::Unfinished,
            Effect::WithholdCredit,
            Effect::TrickleCredit { each: few, every: time },
            Effect::StartIds(first),
            Effect::Latency { delay: time / 10, jitter: other / 10 },
            Effect::Bandwidth(u64::from(few) * 100),
            Effect::Chunks(few as usize),
            Effect::ExtendedHeaders,
            Effect::Swallow,
        ])
    }

    /// A fault that can strike.
    fn fault(&mut self) -> Fault {
        loop {
            let mut fault = Fault::at(self.point(), self.effect()).after(self.below(4));
            fault.times = self.pick(&[Some(1), Some(2), Some(7), None]);
            fault.scope = match self.below(6) {
                0 => Scope::all().partition("0"),
                1 => Scope::all().role(self.pick(&[Role::Producer, Role::Consumer])),
                2 => Scope::all().container("client-1"),
                _ => Scope::all(),
            };
            if fault.check().is_ok() {
                return fault;
            }
        }
    }
}

/// One client of the chaos, which starts over whenever its connection is of no use.
struct Actor {
    client: Client,
    name: String,
    senders: Vec<LinkId>,
    receivers: Vec<LinkId>,
    nodes: Vec<Node>,
    /// Body of each message by link and delivery id.
    sent: HashMap<(LinkId, u32), String>,
}

/// What became of each message that was sent: its outcome, if there was one.
type Fates = HashMap<String, Option<DeliveryState>>;

impl Actor {
    fn new(emulator: &Emulator, name: &str) -> Self {
        let mut client = Client::silent(emulator.connect_memory(), name);
        client.session = client.engine.begin(Default::default()).ok();
        let (senders, receivers, nodes) = (Vec::new(), Vec::new(), Vec::new());
        Self { client, name: name.to_owned(), senders, receivers, nodes, sent: HashMap::new() }
    }

    fn act(&mut self, rng: &mut Rng, next: &mut u64) {
        let partition = rng.below(2);
        if self.client.session.is_none() {
            self.client.session = self.client.engine.begin(Default::default()).ok();
        }
        let Some(session) = self.client.session else { return };
        let mut attach = |attach| {
            *next += 1;
            let name = format!("link-{next}");
            let attach = eventhubs_amqp::codec::performative::Attach { name, ..attach };
            self.client.engine.attach(session, attach).ok()
        };
        match rng.below(10) {
            0 => self.senders.extend(attach(to(&format!("hub/Partitions/{partition}")))),
            1 => {
                let address = format!("hub/ConsumerGroups/$Default/Partitions/{partition}");
                self.receivers.extend(attach(from(&address)));
            }
            2 => {
                let (answers, requests) = (attach(from("$management")), attach(to("$management")));
                if let (Some(answers), Some(requests)) = (answers, requests) {
                    self.client.engine.set_credit(answers, 10);
                    self.nodes.push(Node { requests, answers });
                }
            }
            3 => {
                for link in &self.receivers {
                    self.client.engine.set_credit(*link, 1 + rng.below(20) as u32);
                }
            }
            4 => {
                for node in &self.nodes {
                    let payload = event("no request");
                    let outgoing =
                        Outgoing { payload, message_format: 0, settled: false, token: 0 };
                    let _ = self.client.engine.send(node.requests, outgoing);
                }
            }
            5 => {
                if let Some(link) = self.senders.pop() {
                    self.client.engine.detach(link, true, None);
                }
            }
            6 if rng.below(5) == 0 => {
                self.client.engine.end(session, None);
                self.client.session = None;
                self.senders.clear();
                self.receivers.clear();
                self.nodes.clear();
            }
            _ => {
                for link in &self.senders {
                    *next += 1;
                    let body = format!("{next}:{}", "x".repeat(rng.below(3_000) as usize));
                    let payload = event(&body);
                    let outgoing =
                        Outgoing { payload, message_format: 0, settled: false, token: *next };
                    if let Ok(id) = self.client.engine.send(*link, outgoing) {
                        self.sent.insert((*link, id), body);
                    }
                }
            }
        }
    }

    /// Books what became of the messages, and starts over if the connection is gone.
    fn book(&mut self, fates: &mut Fates, emulator: &Emulator) {
        for body in self.sent.values() {
            fates.entry(body.clone()).or_default();
        }
        for seen in &self.client.seen {
            if let What::Outcome(link, id, state) = &seen.what
                && let Some(body) = self.sent.get(&(*link, *id))
            {
                fates.insert(body.clone(), state.clone());
            }
        }
        let over = |what: &What| matches!(what, What::Closed(_) | What::Eof | What::Failed(_));
        if self.client.seen.iter().any(|seen| over(&seen.what)) {
            *self = Self::new(emulator, &self.name);
        } else {
            self.client.seen.clear();
            self.client.raw.clear();
        }
    }
}

async fn chaos(seed: u64) {
    let mut rng = Rng(seed);
    let emulator = crate::client::emulator().await;
    let mut actors: Vec<Actor> =
        (0..3).map(|number| Actor::new(&emulator, &format!("client-{number}"))).collect();
    let (mut fates, mut next) = (Fates::new(), 0);
    let mut faults: Vec<FaultId> = Vec::new();
    for _ in 0..STEPS {
        if rng.below(3) == 0 {
            faults.push(emulator.inject(rng.fault()).expect("it can strike"));
        }
        if rng.below(6) == 0 && !faults.is_empty() {
            emulator.lift(rng.pick(&faults));
        }
        for actor in &mut actors {
            for _ in 0..rng.below(4) {
                actor.act(&mut rng, &mut next);
            }
            let time = rng.pick(&[1, 1, 20, 500, 3_000]);
            actor.client.run(Duration::from_millis(time)).await;
            actor.book(&mut fates, &emulator);
        }
    }
    emulator.lift_all();
    for actor in &mut actors {
        actor.client.run(Duration::from_secs(60)).await;
        actor.book(&mut fates, &emulator);
    }
    drop(actors);
    check(&emulator, &fates).await;
    // What is new works as ever.
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/3").await;
    assert_eq!(client.publish(sender, "sound").await, DeliveryState::Accepted);
    let node = client.node("$management").await;
    let id = client.ask_hub(&node).await;
    client.answer(&node, id).await;
    let start = tokio::time::Instant::now();
    emulator.shutdown().await;
    assert!(start.elapsed() < Duration::from_secs(3));
}

/// Compares what the clients were told with what is stored.
async fn check(emulator: &Emulator, fates: &Fates) {
    let mut stored: HashMap<String, u32> = HashMap::new();
    for partition in 0..2 {
        for event in emulator.events("hub", partition).expect("a partition") {
            *stored.entry(text(&event.message)).or_default() += 1;
        }
    }
    for (body, fate) in fates {
        let name = body.split(':').next().unwrap_or_default();
        let times = stored.remove(body).unwrap_or(0);
        match fate {
            Some(DeliveryState::Accepted) => assert_eq!(times, 1, "{name} was accepted"),
            Some(other) => assert_eq!(times, 0, "{name} was refused: {other:?}"),
            None => assert!(times <= 1, "{name} is stored {times} times"),
        }
    }
    assert!(stored.is_empty(), "stored, but never sent: {:?}", stored.keys());
}

#[tokio::test(start_paused = true)]
async fn whatever_goes_wrong_the_emulator_stays_sound_and_honest() {
    count_panics();
    let seeds = match std::env::var("CHAOS_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("a number");
            seed..seed + 1
        }
        Err(_) => 0..SEEDS,
    };
    for seed in seeds {
        println!("CHAOS_SEED={seed}");
        chaos(seed).await;
        assert_eq!(PANICS.load(Ordering::Relaxed), 0, "seed {seed}");
    }
}
