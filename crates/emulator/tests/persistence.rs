//! Events in a data folder: what survives, and what is said about what does not.

use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use eventhubs_amqp::codec::DeliveryState;
use eventhubs_amqp::codec::message::{Body, Message};
use eventhubs_amqp::engine::{Options, Sasl};
use eventhubs_amqp::net::{Connection, ConnectionOptions, ReceiverOptions, SenderOptions};
use eventhubs_emulator::{
    Config, DEFAULT_KEY, DEFAULT_KEY_NAME, Damage, DataError, Durability, Emulator, HubConfig,
    HubError, HubStatus, HubUpdate, StartError, StoredEvent,
};
use tokio::time::timeout;

fn options() -> ConnectionOptions {
    let sasl = Sasl::Plain { user: DEFAULT_KEY_NAME.into(), password: DEFAULT_KEY.into() };
    ConnectionOptions::with_engine(Options { sasl, ..Options::dialler("test") })
}

/// An encoded event whose body is a text.
fn event(body: &str) -> Bytes {
    let message = Message { body: Body::from(body.as_bytes()), ..Message::default() };
    let mut out = BytesMut::new();
    message.encode(&mut out);
    out.freeze()
}

fn body(event: &StoredEvent) -> String {
    let Body::Data(sections) = Message::decode(&event.message).expect("a message").body else {
        panic!("{event:?}");
    };
    String::from_utf8(sections.concat()).expect("text")
}

fn config(folder: &Path) -> Config {
    Config::default().in_memory().with_hub("hub", 2).with_data(folder)
}

async fn start(config: Config) -> Emulator {
    Emulator::start(config).await.expect("it starts")
}

/// Ends an emulator so that its folder is free again.
async fn end(emulator: Emulator) {
    emulator.shutdown().await;
    drop(emulator);
}

fn bodies(emulator: &Emulator, hub: &str, partition: u32) -> Vec<String> {
    emulator.events(hub, partition).expect("a partition").iter().map(body).collect()
}

#[tokio::test]
async fn hubs_and_events_are_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = start(config(folder.path())).await;
    emulator.append("hub", 1, event("a")).unwrap();
    emulator.create_hub(HubConfig::new("Later", 1).with_consumer_group("g1")).unwrap();
    emulator.append("later", 0, event("b")).unwrap();
    emulator.create_group("later", "g2").unwrap();
    emulator.delete_group("later", "g1").unwrap();
    let update = HubUpdate {
        partitions: Some(3),
        retention: Some(Duration::from_secs(60)),
        status: Some(HubStatus::SendDisabled),
    };
    emulator.update_hub("later", update).unwrap();
    emulator.append("later", 2, event("c")).unwrap();
    let (hubs, events) = (emulator.hubs(), emulator.events("hub", 1).unwrap());
    end(emulator).await;

    let emulator = start(config(folder.path())).await;
    assert_eq!(emulator.events("hub", 1).unwrap(), events, "place, time and bytes");
    assert_eq!(bodies(&emulator, "later", 2), ["c"]);
    let settings = |hubs: &[eventhubs_emulator::HubSnapshot]| {
        let one = |hub: &eventhubs_emulator::HubSnapshot| {
            (
                hub.name.clone(),
                hub.created,
                hub.updated,
                hub.status,
                hub.retention,
                hub.groups.clone(),
            )
        };
        hubs.iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(settings(&emulator.hubs()), settings(&hubs));
    assert_eq!(emulator.append("hub", 1, event("d")).unwrap(), 1, "numbers go on");
    assert_eq!(emulator.damage(), []);
    end(emulator).await;
}

#[tokio::test]
async fn a_deleted_hub_stays_deleted_with_its_events() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = start(config(folder.path()).with_hub("other", 1)).await;
    for hub in ["hub", "other"] {
        emulator.append(hub, 0, event(hub)).unwrap();
    }
    emulator.delete_hub("other").unwrap();
    emulator.delete_hub("hub").unwrap();
    emulator.create_hub(HubConfig::new("hub", 1)).unwrap();
    assert_eq!(bodies(&emulator, "hub", 0), Vec::<String>::new());
    end(emulator).await;
    let names = || std::fs::read_dir(folder.path().join("hubs")).unwrap().count();
    assert_eq!(names(), 0, "nothing was published to the hub that is left");
    // As if the process had been killed between the list and the events.
    std::fs::create_dir_all(folder.path().join("hubs/1-other/0")).unwrap();
    let emulator = start(Config::default().in_memory().with_data(folder.path())).await;
    let hubs: Vec<_> = emulator.hubs().into_iter().map(|hub| hub.name).collect();
    assert_eq!(hubs, ["hub"]);
    assert_eq!(bodies(&emulator, "hub", 0), Vec::<String>::new());
    assert_eq!(names(), 0);
    end(emulator).await;
}

#[tokio::test]
async fn a_folder_belongs_to_one_emulator_and_its_list_is_not_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = start(config(folder.path())).await;
    emulator.append("hub", 0, event("a")).unwrap();
    let refused = |config: Config| async {
        match Emulator::start(config).await.unwrap_err() {
            StartError::Data(error) => error,
            other => panic!("{other}"),
        }
    };
    assert!(matches!(refused(config(folder.path())).await, DataError::InUse { .. }));
    end(emulator).await;
    let manifest = folder.path().join("manifest");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("active 2", "active 3")).unwrap();
    assert!(matches!(refused(config(folder.path())).await, DataError::Manifest { .. }));
    std::fs::remove_file(&manifest).unwrap();
    assert!(matches!(refused(config(folder.path())).await, DataError::NoManifest { .. }));
    std::fs::write(&manifest, text).unwrap();
    let emulator = start(config(folder.path())).await;
    assert_eq!(bodies(&emulator, "hub", 0), ["a"], "nothing was lost by asking");
    end(emulator).await;
    let file = folder.path().join("manifest/hubs");
    assert!(matches!(refused(config(&file)).await, DataError::Io { .. }));
}

#[tokio::test]
async fn what_was_trimmed_or_has_reached_its_age_stays_gone() {
    let folder = tempfile::tempdir().unwrap();
    let hub = HubConfig::new("short", 1).with_retention(Duration::from_millis(1));
    let emulator = start(config(folder.path()).with_hub_config(hub)).await;
    for body in ["a", "b", "c"] {
        emulator.append("hub", 0, event(body)).unwrap();
        emulator.append("short", 0, event(body)).unwrap();
    }
    emulator.trim("hub", 0, 2).unwrap();
    emulator.advance_clock(Duration::from_secs(1));
    assert!(emulator.events("short", 0).unwrap().is_empty());
    end(emulator).await;
    let emulator = start(config(folder.path())).await;
    assert_eq!(bodies(&emulator, "hub", 0), ["c"]);
    emulator.advance_clock(Duration::from_secs(1));
    assert_eq!(bodies(&emulator, "short", 0), Vec::<String>::new());
    assert_eq!(emulator.append("short", 0, event("d")).unwrap(), 3);
    end(emulator).await;
}

/// The last events may be lost while their places are known: nothing is there to be sent, and the
/// log has not been read to its end.
#[tokio::test(start_paused = true)]
async fn a_receiver_waits_where_the_last_events_were_lost() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = start(config(folder.path())).await;
    emulator.append("hub", 0, event("a")).unwrap();
    end(emulator).await;
    // The name of a file tells where it began; nothing in it can be read.
    let lost = format!("hubs/0-hub/0/{:020}-{:020}.log", 9, 900);
    std::fs::write(folder.path().join(lost), "").unwrap();

    let emulator = start(config(folder.path())).await;
    assert!(matches!(emulator.damage(), [Damage::Missing { from: 1, to: 9, .. }]));
    let connection = Connection::dial_over(emulator.connect_memory(), options()).await.unwrap();
    let source = "hub/ConsumerGroups/$Default/Partitions/0";
    let mut receiver = connection.receiver(ReceiverOptions::from(source)).await.unwrap();
    let mut receive = async || {
        let delivery = timeout(Duration::from_secs(5), receiver.recv()).await.unwrap().unwrap();
        let payload = delivery.into_payload();
        let Body::Data(sections) = Message::decode(&payload).unwrap().body else { panic!() };
        String::from_utf8(sections.concat()).unwrap()
    };
    assert_eq!(receive().await, "a");
    assert_eq!(emulator.append("hub", 0, event("b")).unwrap(), 9);
    assert_eq!(receive().await, "b");
    connection.close(None).await;
    end(emulator).await;
}

#[tokio::test]
async fn what_cannot_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = start(config(folder.path())).await;
    emulator.append("hub", 0, event("a")).unwrap();
    // A file where the second partition's folder belongs.
    let [hub] = std::fs::read_dir(folder.path().join("hubs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let obstacle = hub.join("1");
    std::fs::write(&obstacle, "").unwrap();
    assert!(matches!(emulator.append("hub", 1, event("b")), Err(HubError::Storage { .. })));
    let connection = Connection::dial_over(emulator.connect_memory(), options()).await.unwrap();
    let sender = connection.sender(SenderOptions::to("hub/Partitions/1")).await.unwrap();
    sender.ready().await;
    let DeliveryState::Rejected(Some(error)) = sender.send(event("b"), 0).await.unwrap() else {
        panic!("acknowledged");
    };
    assert_eq!(error.condition.as_str(), "amqp:internal-error");
    assert!(emulator.events("hub", 1).unwrap().is_empty());
    std::fs::remove_file(obstacle).unwrap();
    let outcome = sender.send(event("c"), 0).await.unwrap();
    assert_eq!(outcome, DeliveryState::Accepted, "the link lives and the disk has room again");
    assert_eq!(emulator.events("hub", 1).unwrap()[0].sequence, 0);
    connection.close(None).await;
    end(emulator).await;
}

#[tokio::test]
async fn every_durability_keeps_events() {
    for durability in
        [Durability::None, Durability::Interval(Duration::from_millis(1)), Durability::Each]
    {
        let folder = tempfile::tempdir().unwrap();
        let emulator = start(config(folder.path()).with_durability(durability)).await;
        emulator.append("hub", 0, event("a")).unwrap();
        end(emulator).await;
        let emulator = start(config(folder.path())).await;
        assert_eq!(bodies(&emulator, "hub", 0), ["a"], "{durability:?}");
        end(emulator).await;
    }
}

#[cfg(feature = "bin")]
mod process {
    use std::collections::BTreeMap;
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    use bytes::BufMut;
    use eventhubs_amqp::net::Endpoint;
    use tokio::sync::mpsc;

    use super::*;

    /// An encoded batch, to be sent with its own message format.
    fn batch(bodies: &[String]) -> (Bytes, u32) {
        let events = bodies.iter().map(|body| event(body)).collect();
        let message = Message { body: Body::Data(events), ..Message::default() };
        let mut out = BytesMut::new();
        message.encode(&mut out);
        (out.freeze(), 0x8001_3700)
    }

    /// What became of what a client sent.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Fate {
        Accepted,
        Rejected,
        Unknown,
    }

    struct Started {
        child: Child,
        endpoint: Endpoint,
    }

    fn run(mut command: Command, folder: &Path) -> Started {
        let mut child = command
            .args(["--amqp", "127.0.0.1:0", "--hub", "hub:2", "--data"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary was built");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let ready = lines.next().expect("a line").expect("text");
        // The connection string: whoever prints must find a reader.
        lines.next().expect("a line").expect("text");
        let port = ready.rsplit_once(':').expect("an address").1.parse().expect("a port");
        Started { child, endpoint: Endpoint::plain("127.0.0.1", port) }
    }

    fn binary() -> Command {
        Command::new(env!("CARGO_BIN_EXE_eventhubs-emulator"))
    }

    /// Publishes singly and in batches until the connection ends; tells each outcome.
    async fn publish(
        connection: Connection,
        partition: u32,
        run: usize,
        told: mpsc::UnboundedSender<(Vec<String>, Fate)>,
    ) {
        let address = format!("hub/Partitions/{partition}");
        let sender = connection.sender(SenderOptions::to(address)).await.expect("a sender");
        for number in 0.. {
            let count = [1, 1, 5, 40][number % 4];
            let names: Vec<_> =
                (0..count).map(|index| format!("{run}-{partition}-{number}-{index}")).collect();
            let (payload, format) = match names.as_slice() {
                [one] => (event(one), 0),
                many => batch(many),
            };
            sender.ready().await;
            let sending = sender.send(payload, format);
            let told = told.clone();
            let over = sender.close_reason().is_some();
            // Several are on their way at once.
            tokio::spawn(async move {
                let fate = match sending.await {
                    Ok(DeliveryState::Accepted) => Fate::Accepted,
                    Ok(_) => Fate::Rejected,
                    Err(_) => Fate::Unknown,
                };
                let _ = told.send((names, fate));
            });
            if over {
                return;
            }
        }
    }

    /// Holds what is stored against what the client was told.
    async fn check(folder: &Path, fates: &BTreeMap<String, Fate>) {
        let emulator = start(config(folder)).await;
        let mut stored = BTreeMap::new();
        for partition in 0..2 {
            for (sequence, event) in
                (0..).zip(emulator.events("hub", partition).expect("a partition"))
            {
                assert_eq!(event.sequence, sequence, "no gap");
                assert_eq!(stored.insert(body(&event), partition), None, "none twice");
            }
        }
        for (name, fate) in fates {
            let is_stored = stored.remove(name).is_some();
            let expected = match fate {
                Fate::Accepted => true,
                Fate::Rejected => false,
                Fate::Unknown => is_stored,
            };
            assert_eq!(is_stored, expected, "{name} was {fate:?}");
        }
        assert!(stored.is_empty(), "nobody sent {stored:?}");
        end(emulator).await;
    }

    #[tokio::test]
    async fn a_killed_process_has_every_acknowledged_event_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut fates = BTreeMap::new();
        for run in 0..3 {
            let mut started = self::run(binary(), folder.path());
            let (tell, mut told) = mpsc::unbounded_channel();
            for partition in 0..2 {
                let connection = Connection::dial(&started.endpoint, options()).await.unwrap();
                tokio::spawn(publish(connection, partition, run, tell.clone()));
            }
            drop(tell);
            let mut accepted = 0;
            while let Some((names, fate)) = told.recv().await {
                let count = names.len();
                fates.extend(names.into_iter().map(|name| (name, fate)));
                accepted += usize::from(fate == Fate::Accepted) * count;
                if accepted > 3000 && started.child.try_wait().unwrap().is_none() {
                    started.child.kill().unwrap();
                }
            }
            started.child.wait().unwrap();
            check(folder.path(), &fates).await;
        }
        assert!(fates.values().any(|fate| *fate == Fate::Accepted));
    }

    /// A limit on the size of files is as good as a full disk: a write succeeds in part, or fails.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_full_disk_refuses_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("/bin/sh");
        let limited = "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\"";
        command.args(["-c", limited, env!("CARGO_BIN_EXE_eventhubs-emulator")]);
        let mut started = self::run(command, folder.path());
        let connection = Connection::dial(&started.endpoint, options()).await.unwrap();
        let sender = connection.sender(SenderOptions::to("hub/Partitions/0")).await.unwrap();
        let mut fates = BTreeMap::new();
        // Large events until none fits any more, then small ones: some still do.
        for number in 0..100 {
            let filler = "x".repeat(if number < 40 { 2000 } else { 1 });
            let name = format!("{number}-{filler}");
            sender.ready().await;
            let fate = match sender.send(event(&name), 0).await.unwrap() {
                DeliveryState::Accepted => Fate::Accepted,
                DeliveryState::Rejected(Some(error)) => {
                    assert_eq!(error.condition.as_str(), "amqp:internal-error");
                    Fate::Rejected
                }
                other => panic!("{other:?}"),
            };
            fates.insert(name, fate);
        }
        let count = |wanted, long: bool| {
            let of = |name: &str| (name.len() > 100) == long;
            fates.iter().filter(|(name, fate)| **fate == wanted && of(name)).count()
        };
        for long in [true, false] {
            assert!(
                count(Fate::Accepted, long) > 0 && count(Fate::Rejected, long) > 0,
                "{fates:?}"
            );
        }
        started.child.kill().unwrap();
        started.child.wait().unwrap();
        check(folder.path(), &fates).await;
    }

    #[test]
    fn what_is_damaged_is_said_on_standard_error() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let emulator = start(config(folder.path())).await;
            emulator.append("hub", 0, event("a")).unwrap();
            end(emulator).await;
        });
        let files = folder.path().join("hubs/0-hub/0");
        let file = std::fs::read_dir(files).unwrap().next().unwrap().unwrap().path();
        let mut bytes = std::fs::read(&file).unwrap();
        bytes.put_slice(&[0; 5]);
        std::fs::write(&file, bytes).unwrap();
        let output = binary()
            .args(["--amqp", "127.0.0.1:0", "--data"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .output()
            .unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(complaint.contains("the last write did not finish, 5 bytes"), "{complaint}");
        assert!(complaint.contains(file.to_str().unwrap()), "{complaint}");
    }
}
