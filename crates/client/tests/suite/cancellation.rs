//! Every public future, dropped after every number of polls until it ends by itself: the hub works as
//! before, nothing is lost, and tasks and links go back to where they were.
//!
//! In memory, on the paused clock: a poll happens when the future was woken, as in any program, so
//! that everything else has gone on meanwhile.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use eventhubs_client::message::{Body, Message};
use eventhubs_client::{
    Destination, Error, ErrorKind, EventData, EventStream, Hub, HubOptions, PartitionId,
    ReceiveOptions, ReceivedEvent, SequenceNumber, StartPosition,
};
use eventhubs_emulator::{Effect, Fault, Point, Role, Scope};

use crate::support::{Fixture, HUB, only_tasks, tasks, within_paused};

/// More polls than any future takes; one that takes more spins.
const POLLS_MAX: usize = 200;
/// Turns of everybody else between the last poll and the drop.
const TURNS: [usize; 2] = [0, 4];
/// The partition that calls send to.
const TO: u16 = 0;
/// The partition that calls receive from, and the events in it.
const FROM: u16 = 1;
const EVENTS: i64 = 5;
/// The body of an event whose send is dropped.
const DROPPED: &str = "dropped";

/// How things stand when the call begins.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stand {
    /// Nothing is connected.
    Cold,
    /// Connection and links are there.
    Warm,
    /// They were, and the senders have just been detached; an attach takes 2 s.
    Detached,
    /// They were, and the connection has just been lost; an open takes 2 s.
    Lost,
}

const STANDS: [Stand; 4] = [Stand::Cold, Stand::Warm, Stand::Detached, Stand::Lost];

/// Polls `future` `polls` times at most, gives others `turns`, and drops it. What it gave, if it ended.
async fn dropped_after<F: Future>(future: F, polls: usize, turns: usize) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    let output = poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    let output = within_paused(output).await;
    if output.is_none() {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }
    output
}

/// Runs a case, which says whether its future ended, with more and more polls until it did.
async fn at_every_poll(name: &str, case: impl AsyncFn(usize, usize) -> bool) {
    for turns in TURNS {
        let mut polls = 0;
        while !case(polls, turns).await {
            polls += 1;
            assert!(polls < POLLS_MAX, "{name} takes {polls} polls and is not done");
        }
        assert!(polls > 0, "{name} ended without a poll: the case is wrong");
    }
}

async fn pass(time: Duration) {
    let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
}

/// A hub with the defaults of everybody, and events to receive.
async fn world(stand: Stand) -> Fixture {
    world_with(stand, HubOptions::default()).await
}

async fn world_with(stand: Stand, options: HubOptions) -> Fixture {
    let fixture = Fixture::with_options(options).await;
    for number in 0..EVENTS {
        let event = EventData::new(number.to_string()).to_payload();
        fixture.emulator.append(HUB, u32::from(FROM), event).expect("it is there");
    }
    if stand != Stand::Cold {
        fixture.send(TO, &["warm"]).await;
        fixture.hub.send("warm").await.expect("accepted");
        fixture.hub.runtime_information().await.expect("answered");
    }
    fixture
}

/// What happens just before the call.
fn strike(fixture: &Fixture, stand: Stand, role: Role) {
    let delay = Effect::Delay(Duration::from_secs(2));
    let moved = Effect::detach("amqp:link:detach-forced", "moved");
    let faults = match stand {
        Stand::Cold | Stand::Warm => return,
        Stand::Detached => {
            [Fault::now(moved).within(Scope::all().role(role)), Fault::at(Point::Attach, delay)]
        }
        Stand::Lost => [Fault::now(Effect::Reset), Fault::at(Point::Open, delay)],
    };
    for fault in faults {
        fixture.emulator.inject(fault).expect("it can strike");
    }
}

/// How many events with this body are stored.
fn stored(fixture: &Fixture, body: &str) -> usize {
    let hub = fixture.emulator.hubs().into_iter().find(|hub| hub.name == HUB).expect("it is there");
    let partitions = hub.partitions.iter().map(|partition| partition.number);
    let events = partitions.flat_map(|number| fixture.emulator.events(HUB, number).expect("there"));
    let is_it = |message: &Message| match &message.body {
        Body::Data(sections) => sections.concat() == body.as_bytes(),
        _ => false,
    };
    events.filter(|event| Message::decode(&event.message).is_ok_and(|m| is_it(&m))).count()
}

/// Every operation works on the same hub.
async fn assert_works(fixture: &Fixture, name: &str) {
    let hub = &fixture.hub;
    let all = async {
        hub.runtime_information().await?;
        hub.partition_runtime_information(FROM).await?;
        let producer = hub.producer(PartitionId::from(TO));
        producer.ready().await?;
        producer.send("after").await?;
        producer.enqueue("after").await?;
        hub.send("after").await?;
        let mut batch = producer.create_batch().await?;
        batch.try_add("after").expect("it fits");
        hub.send_batch(batch).await?;
        let mut stream = hub.events(FROM, ReceiveOptions::default()).await?;
        for number in 0..EVENTS {
            let event = stream.next().await.expect("it goes on")?;
            assert_eq!(event.sequence_number().as_i64(), number, "{name}");
        }
        stream.close().await;
        Ok::<(), Error>(())
    };
    within_paused(all).await.unwrap_or_else(|error| panic!("after {name}: {error}"));
    assert!(stored(fixture, "after") >= 4, "after {name}: accepted is stored");
}

/// Of what a call attached, nothing is left but what every hub keeps: one connection, a link to each
/// place that was sent to, the links for tokens and questions.
async fn assert_no_link_is_left(fixture: &Fixture, name: &str) {
    let mut links = Vec::new();
    // A late answer to an attach that nobody waits for is a reason to detach, and takes its time.
    for _ in 0..100 {
        let connections = fixture.emulator.snapshot().await.connections;
        links = connections.iter().flat_map(|connection| &connection.links).cloned().collect();
        let mut places: Vec<_> = links.iter().map(|link| (&link.address, link.incoming)).collect();
        places.sort();
        let count = places.len();
        places.dedup();
        let consumers = links.iter().filter(|link| link.role == Role::Consumer).count();
        if connections.len() == 1 && consumers == 0 && places.len() == count {
            return;
        }
        pass(Duration::from_millis(100)).await;
    }
    panic!("after {name} there are {links:#?}");
}

/// Closes the hub; no task is left.
async fn assert_closes(fixture: Fixture, before: usize, name: &str) {
    let Fixture { emulator, wire, hub, .. } = fixture;
    within_paused(hub.close()).await;
    drop(hub);
    // What is left of a lost connection waits for its own end.
    for _ in 0..100 {
        if tasks() <= before {
            break;
        }
        pass(Duration::from_millis(100)).await;
    }
    assert!(tasks() <= before, "after {name}: {} tasks of {before}", tasks());
    drop((emulator, wire));
}

type Calling = Pin<Box<dyn Future<Output = Result<(), Error>>>>;

/// A call by its name; whether an event is stored when it is `Ok`.
type Call = (&'static str, bool, fn(Hub) -> Calling);

fn handler(_: ReceivedEvent) -> std::future::Ready<Result<(), io::Error>> {
    std::future::ready(Ok(()))
}

fn sending_calls() -> Vec<Call> {
    vec![
        ("Hub::send", true, |hub| Box::pin(async move { hub.send(DROPPED).await })),
        ("Producer::send", true, |hub| {
            Box::pin(async move { hub.producer(PartitionId::from(TO)).send(DROPPED).await })
        }),
        ("Producer::enqueue", true, |hub| {
            Box::pin(async move { hub.producer(PartitionId::from(TO)).enqueue(DROPPED).await })
        }),
        ("Producer::ready", false, |hub| {
            Box::pin(async move { hub.producer(PartitionId::from(TO)).ready().await })
        }),
        ("Hub::create_batch", false, |hub| {
            Box::pin(async move { hub.create_batch(Destination::Any).await.map(drop) })
        }),
        ("Hub::send_batch", true, |hub| {
            Box::pin(async move {
                let mut batch = hub.create_batch(PartitionId::from(TO)).await?;
                batch.try_add(DROPPED).expect("it fits");
                hub.send_batch(batch).await
            })
        }),
        ("Producer::enqueue_batch", true, |hub| {
            Box::pin(async move {
                let producer = hub.producer(PartitionId::from(TO));
                let mut batch = producer.create_batch().await?;
                batch.try_add(DROPPED).expect("it fits");
                producer.enqueue_batch(batch).await
            })
        }),
    ]
}

fn other_calls() -> Vec<Call> {
    vec![
        ("Hub::runtime_information", false, |hub| {
            Box::pin(async move { hub.runtime_information().await.map(drop) })
        }),
        ("Hub::partition_runtime_information", false, |hub| {
            Box::pin(async move { hub.partition_runtime_information(FROM).await.map(drop) })
        }),
        ("Hub::events", false, |hub| {
            Box::pin(async move { hub.events(FROM, ReceiveOptions::default()).await.map(drop) })
        }),
        ("EventStream::close", false, |hub| {
            Box::pin(async move {
                hub.events(FROM, ReceiveOptions::default()).await?.close().await;
                Ok(())
            })
        }),
        ("Hub::receive, ListenerHandle::close", false, |hub| {
            Box::pin(async move {
                let options = ReceiveOptions::default();
                hub.receive(FROM, options, handler).await?.close().await;
                Ok(())
            })
        }),
        ("ListenerHandle::done", false, |hub| {
            Box::pin(async move {
                let stop = |_| std::future::ready(Err(io::Error::other("enough")));
                let listener = hub.receive(FROM, ReceiveOptions::default(), stop).await?;
                listener.done().await;
                Ok(())
            })
        }),
    ]
}

/// Drops `call` at each of its polls, and looks at what is left.
async fn assert_can_be_dropped((name, stores, call): Call, stand: Stand, options: &HubOptions) {
    let name = format!("{name} ({stand:?})");
    at_every_poll(&name, async |polls, turns| {
        let name = format!("{name} at poll {polls}, after {turns} turns");
        let before = tasks();
        let fixture = world_with(stand, options.clone()).await;
        // The emulator has tasks of its own; they go with its connections.
        strike(&fixture, stand, Role::Producer);
        let output = dropped_after(call(fixture.hub.clone()), polls, turns).await;
        let has_ended = output.is_some();
        if let Some(output) = output {
            output.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        assert_works(&fixture, &name).await;
        assert_no_link_is_left(&fixture, &name).await;
        let count = stored(&fixture, DROPPED);
        match (has_ended, stand) {
            (true, _) => assert!(!stores || count >= 1, "{name}: accepted is stored"),
            // Without a fault nothing is ever sent twice.
            (false, Stand::Cold | Stand::Warm) => {
                assert!(count <= 1, "{name}: stored {count} times")
            }
            (false, _) => {}
        }
        assert_closes(fixture, before, &name).await;
        has_ended
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_send_can_be_dropped_at_any_time() {
    for stand in STANDS {
        for call in sending_calls() {
            assert_can_be_dropped(call, stand, &HubOptions::default()).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_in_order_can_be_dropped_at_any_time() {
    let mut options = HubOptions::default();
    options.ordered = true;
    for stand in STANDS {
        for call in sending_calls() {
            assert_can_be_dropped(call, stand, &options).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_or_a_receiver_can_be_dropped_at_any_time() {
    for stand in STANDS {
        for call in other_calls() {
            assert_can_be_dropped(call, stand, &HubOptions::default()).await;
        }
    }
}

/// The next events, one or several.
async fn some_events(stream: &mut EventStream, max: usize) -> Option<Result<Vec<i64>, Error>> {
    let number = |event: ReceivedEvent| event.sequence_number().as_i64();
    match max {
        1 => Some(stream.next().await?.map(|event| vec![number(event)])),
        max => {
            let events = stream.next_batch(max, Duration::from_secs(60)).await?;
            Some(events.map(|events| events.into_iter().map(number).collect()))
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_next_takes_no_event_with_it() {
    let stands = [Stand::Warm, Stand::Detached, Stand::Lost];
    for (stand, max) in stands.into_iter().flat_map(|stand| [(stand, 1), (stand, 3)]) {
        let name = format!("the next {max} of an EventStream ({stand:?})");
        at_every_poll(&name, async |polls, turns| {
            let name = format!("{name} at poll {polls}, after {turns} turns");
            let before = tasks();
            let fixture = world(stand).await;
            let from = |last: i64| {
                let last = SequenceNumber::from(last);
                let start = StartPosition::sequence_number(last).expect("it is valid");
                ReceiveOptions::default().with_start(start)
            };
            let mut stream = fixture.hub.events(FROM, from(-1)).await.expect("attached");
            strike(&fixture, stand, Role::Consumer);
            let mut last = -1;
            // Only the first of them is dropped; the rest is read as anybody does.
            let mut first = dropped_after(some_events(&mut stream, max), polls, turns).await;
            let has_ended = first.is_some();
            while last + 1 < EVENTS {
                let item = match first.take() {
                    Some(item) => item,
                    None => within_paused(some_events(&mut stream, max)).await,
                };
                match item.unwrap_or_else(|| panic!("{name}: the stream is over")) {
                    Ok(numbers) => {
                        for number in numbers {
                            assert_eq!(number, last + 1, "{name}");
                            last = number;
                        }
                    }
                    Err(error) => {
                        assert!(error.ends_stream() && error.is_retryable(), "{name}: {error}");
                        stream = within_paused(fixture.hub.events(FROM, from(last)))
                            .await
                            .unwrap_or_else(|error| panic!("{name}: {error}"));
                    }
                }
            }
            drop(stream);
            assert_works(&fixture, &name).await;
            assert_no_link_is_left(&fixture, &name).await;
            assert_closes(fixture, before, &name).await;
            has_ended
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_close_has_begun_and_can_be_repeated() {
    for stand in STANDS {
        let name = format!("Hub::close ({stand:?})");
        at_every_poll(&name, async |polls, turns| {
            let name = format!("{name} at poll {polls}, after {turns} turns");
            let before = tasks();
            let fixture = world(stand).await;
            strike(&fixture, stand, Role::Producer);
            let producer = fixture.hub.producer(PartitionId::from(TO));
            let pending: Vec<_> =
                (0..10).map(|n| producer.enqueue(format!("queued {n}"))).collect();
            let closing = fixture.hub.clone();
            let has_ended = dropped_after(closing.close(), polls, turns).await.is_some();
            drop(closing);
            if polls == 0 {
                drop(pending);
                assert_works(&fixture, &name).await;
                assert_closes(fixture, before, &name).await;
                return false;
            }
            for result in [
                within_paused(fixture.hub.send("late")).await,
                within_paused(fixture.hub.runtime_information()).await.map(drop),
            ] {
                let error = result.expect_err("it was closed");
                assert_eq!(error.kind(), ErrorKind::Closed, "{name}: {error}");
            }
            within_paused(fixture.hub.close()).await;
            for (number, pending) in (0..).zip(pending) {
                let result = within_paused(pending).await;
                let count = stored(&fixture, &format!("queued {number}"));
                match result {
                    Ok(()) => assert!(count >= 1, "{name}: accepted is stored"),
                    Err(error) if error.may_have_been_sent() => {}
                    Err(error) => assert_eq!(count, 0, "{name}: {error}"),
                }
            }
            assert_eq!(stored(&fixture, "late"), 0, "{name}");
            drop(producer);
            assert_closes(fixture, before, &name).await;
            has_ended
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_are_counted() {
    let before = tasks();
    let fixture = Fixture::recovering().await;
    fixture.hub.send("x").await.expect("accepted");
    assert!(tasks() > before, "a connection is a task at least");
    fixture.hub.close().await;
    drop(fixture);
    only_tasks(before).await;
}
