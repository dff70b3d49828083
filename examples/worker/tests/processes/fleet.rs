//! Worker processes on one emulator and one store, and what they say.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::process::Stdio;
use std::time::Duration;

use eventhubs_client::Hub;
use eventhubs_emulator::{Config, DEFAULT_HUB, Emulator};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The command line of a worker, an argument on each line.
pub(crate) const ARGUMENTS: &str = "EVENTHUBS_WORKER_TEST_ARGUMENTS";
/// Everything takes a few seconds on a machine that has nothing else to do.
const DEADLINE: Duration = Duration::from_secs(90);
/// Lines that wait.
const LINES_MAX: usize = 256;

struct Worker {
    child: Child,
    partitions: BTreeSet<u16>,
    handled: u64,
    is_over: bool,
}

pub(crate) struct Fleet {
    emulator: Emulator,
    hub: Hub,
    store: TempDir,
    workers: BTreeMap<&'static str, Worker>,
    tell: mpsc::Sender<(&'static str, Option<String>)>,
    lines: mpsc::Receiver<(&'static str, Option<String>)>,
    sent: u64,
    /// How often each event was handled, by its number.
    handled: HashMap<u64, u32>,
    acquisitions: Vec<String>,
    said: Vec<String>,
}

impl Fleet {
    pub(crate) async fn new(partitions: u32) -> Self {
        let config = Config::default().with_hub(DEFAULT_HUB, partitions);
        let emulator = Emulator::start(config).await.unwrap();
        let text = emulator.connection_string_for(DEFAULT_HUB);
        let (tell, lines) = mpsc::channel(LINES_MAX);
        Self {
            hub: Hub::from_connection_string(&text).unwrap(),
            emulator,
            store: TempDir::new().unwrap(),
            workers: BTreeMap::new(),
            tell,
            lines,
            sent: 0,
            handled: HashMap::new(),
            acquisitions: Vec::new(),
            said: Vec::new(),
        }
    }

    pub(crate) fn start(&mut self, name: &'static str) {
        let store = self.store.path().to_str().unwrap();
        let arguments = ["process", "--name", name, "--lease", "15", "--scan", "1"];
        let others = ["--store", store, "--print-events", "--with-parent"];
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_works", "--nocapture"])
            .env(ARGUMENTS, [&arguments[..], &others].concat().join("\n"))
            .env("EVENTHUB_CONNECTION_STRING", self.emulator.connection_string_for(DEFAULT_HUB))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        tokio::spawn(read(name, child.stdout.take().unwrap(), self.tell.clone()));
        let worker = Worker { child, partitions: BTreeSet::new(), handled: 0, is_over: false };
        assert!(self.workers.insert(name, worker).is_none(), "{name} was started before");
    }

    /// Sends events one after the other, each acknowledged.
    pub(crate) async fn send(&mut self, count: u64) {
        self.begin_to_send(count).await.unwrap();
    }

    /// Sends them while other things happen.
    pub(crate) fn begin_to_send(&mut self, count: u64) -> JoinHandle<()> {
        let (hub, numbers) = (self.hub.clone(), self.sent..self.sent + count);
        self.sent += count;
        tokio::spawn(async move {
            for number in numbers {
                hub.send(number.to_string()).await.unwrap();
            }
        })
    }

    /// Tells a worker to end as a service is told, and waits until it has.
    pub(crate) async fn terminate(&mut self, name: &'static str) {
        match cfg!(unix) {
            true => {
                let id = self.workers[name].child.id().unwrap().to_string();
                let kill = Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
                assert!(kill.success());
            }
            false => drop(self.worker(name).child.stdin.take()),
        }
        self.ended(name).await;
    }

    /// Closes the standard input of a worker and waits until it has ended.
    pub(crate) async fn close(&mut self, name: &'static str) {
        drop(self.worker(name).child.stdin.take());
        self.ended(name).await;
    }

    fn worker(&mut self, name: &'static str) -> &mut Worker {
        self.workers.get_mut(name).unwrap()
    }

    async fn ended(&mut self, name: &'static str) {
        self.until("a worker to end", |fleet| fleet.workers[name].is_over).await;
        let status = self.worker(name).child.wait().await.unwrap();
        assert!(status.success(), "{name} ended with {status}");
    }

    /// Waits for something that workers say.
    pub(crate) async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let waited = timeout(DEADLINE, async {
            while !is_so(self) {
                let (name, line) = self.lines.recv().await.unwrap();
                self.take(name, line);
            }
        });
        if waited.await.is_err() {
            let (shares, lost, said) = (self.shares(), self.lost(), self.said.join("\n"));
            panic!("waited in vain for: {what}; {shares:?}, {lost} lost; they said:\n{said}");
        }
    }

    /// What a worker said; `None` when it is gone.
    fn take(&mut self, name: &'static str, line: Option<String>) {
        let worker = self.workers.get_mut(name).unwrap();
        let Some(line) = line else {
            worker.is_over = true;
            return;
        };
        if let Some((_, event)) = line.split_once(": event ") {
            let number = event.rsplit(' ').next().unwrap().parse().unwrap();
            *self.handled.entry(number).or_default() += 1;
            worker.handled += 1;
            return;
        }
        if let Some((_, rest)) = line.split_once(" partitions [") {
            let (ids, _) = rest.split_once(']').unwrap();
            worker.partitions = ids.split_whitespace().map(|id| id.parse().unwrap()).collect();
        }
        if line.contains(" acquired at ") {
            self.acquisitions.push(line.clone());
        }
        self.said.push(line);
    }

    /// Whether the workers that are there have so many partitions, in order of their names, and no
    /// two of them the same.
    pub(crate) fn has(&self, counts: &[usize]) -> bool {
        let shares = self.shares();
        let distinct: BTreeSet<&u16> =
            shares.iter().flat_map(|(_, partitions)| *partitions).collect();
        shares.iter().map(|(_, partitions)| partitions.len()).eq(counts.iter().copied())
            && distinct.len() == counts.iter().sum::<usize>()
    }

    fn shares(&self) -> Vec<(&'static str, &BTreeSet<u16>)> {
        let there = self.workers.iter().filter(|(_, worker)| !worker.is_over);
        there.map(|(name, worker)| (*name, &worker.partitions)).collect()
    }

    pub(crate) fn handled_by(&self, name: &'static str) -> u64 {
        self.workers[name].handled
    }

    pub(crate) fn is_all_handled(&self) -> bool {
        self.lost() == 0
    }

    fn lost(&self) -> usize {
        (0..self.sent).filter(|number| !self.handled.contains_key(number)).count()
    }

    /// How often an event was handled again.
    pub(crate) fn repeated(&self) -> u32 {
        self.handled.values().map(|times| times - 1).sum()
    }

    /// What was said of partitions that were acquired, and why.
    pub(crate) fn acquisitions(&self) -> &[String] {
        &self.acquisitions
    }

    pub(crate) fn forget_acquisitions(&mut self) {
        self.acquisitions.clear();
    }
}

async fn read(
    name: &'static str,
    output: ChildStdout,
    tell: mpsc::Sender<(&'static str, Option<String>)>,
) {
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if tell.send((name, Some(line))).await.is_err() {
            return;
        }
    }
    let _ = tell.send((name, None)).await;
}
