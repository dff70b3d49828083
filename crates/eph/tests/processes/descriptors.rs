//! Row P14: a process that has no file descriptor left.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use eventhubs_client::Hub;
use eventhubs_emulator::{Config, Effect, Emulator, Fault};
use eventhubs_eph::ownership::Timing;
use eventhubs_eph::{EventProcessorHost, Handler, HostEvent, HostOptions};
use eventhubs_protocol::StartPosition;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::child::{CONNECTION, say};
use super::{SOON, shared_store};

const FOLDER: &str = "EVENTHUBS_EPH_TEST_FEW_DESCRIPTORS";
/// More than host, runtime and the harness need, and soon used up.
const LIMIT: u32 = 64;

/// As another process: a host that takes all descriptors there are at the first line of standard
/// input, and gives them back at the second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_without_descriptors() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let text = std::env::var(CONNECTION).unwrap();
    let store = shared_store(&folder);
    let (lease, renewal, grace) = (15, 5, 2);
    let [lease, renewal, grace] = [lease, renewal, grace].map(Duration::from_secs);
    let options = HostOptions::default()
        .with_timing(Timing { lease, renewal, grace })
        .with_scan(Duration::from_secs(1))
        .with_start(StartPosition::earliest());
    let leaser = Arc::clone(&store);
    let host = EventProcessorHost::from_connection_string(&text, leaser, store, options).unwrap();
    let mut told = host.host_events();
    tokio::spawn(async move {
        while let Some(event) = told.next().await {
            if matches!(event, HostEvent::StoreFailed { .. }) {
                say("store failed");
            }
        }
    });
    let handler = Handler::each(|event, _| async move {
        say(&format!("handled {}", event.sequence_number()));
        Ok(())
    });
    host.register_handler(handler).unwrap();
    host.start_nonblocking().unwrap();
    let input = tokio::task::spawn_blocking(|| {
        let mut lines = std::io::stdin().lines();
        drop(lines.next());
        let mut taken = Vec::new();
        // What is held on to is what counts.
        while let Ok(file) = File::open("/dev/null") {
            taken.push(file);
        }
        say("nothing left");
        drop(lines.next());
        drop(taken);
        drop(lines.next());
    });
    input.await.unwrap();
    host.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p14_a_host_without_descriptors_says_so_and_goes_on_when_there_are_some() {
    let folder = TempDir::new().unwrap();
    let emulator = Emulator::start(Config::default().with_hub("hub", 1)).await.unwrap();
    let text = emulator.connection_string_for("hub");
    let hub = Hub::from_connection_string(&text).unwrap();
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -n {LIMIT} && exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "descriptors::child_without_descriptors", "--nocapture"])
        .env(FOLDER, folder.path())
        .env(CONNECTION, &text)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (say, mut said) = mpsc::unbounded_channel();
    std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|l| say.send(l)));
    let mut input = child.stdin.take().unwrap();

    hub.send("before").await.unwrap();
    wait(&mut said, &["handled 0"]).await;
    writeln!(input, "take").unwrap();
    wait(&mut said, &["nothing left"]).await;
    emulator.inject(Fault::now(Effect::Reset).times(1)).unwrap();
    wait(&mut said, &["store failed"]).await;
    hub.send("meanwhile").await.unwrap();
    writeln!(input, "give back").unwrap();
    wait(&mut said, &["handled 1"]).await;
    hub.send("after").await.unwrap();
    wait(&mut said, &["handled 2"]).await;
    drop(input);
    assert!(tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap().success());
    hub.close().await;
    emulator.shutdown().await;
}

/// Waits until each of these lines has come.
async fn wait(said: &mut mpsc::UnboundedReceiver<String>, lines: &[&str]) {
    let mut missing: Vec<&str> = lines.to_vec();
    let mut tail = Vec::new();
    let waiting = async {
        while !missing.is_empty() {
            let line = said.recv().await.unwrap();
            missing.retain(|wanted| *wanted != line);
            tail.push(line);
        }
    };
    let is_late = tokio::time::timeout(SOON * 2, waiting).await.is_err();
    assert!(!is_late, "{missing:?} did not come: {tail:?}");
}
