//! What the children say, and what can be known from it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use eventhubs_protocol::PartitionId;
use tokio::sync::mpsc;

use super::child::{CONNECTION, FOLDER};

type Name = &'static str;

/// One process.
struct Process {
    child: Child,
    input: Option<ChildStdin>,
    owned: BTreeSet<PartitionId>,
    /// Whether everything it said was read.
    is_read: bool,
    /// Events handled, by partition.
    counts: BTreeMap<PartitionId, u64>,
    /// Partitions it said that it lost, since the counts were forgotten.
    lost: BTreeSet<PartitionId>,
    /// Events handled since then and before it owned the partition anew.
    stale: BTreeMap<PartitionId, u64>,
    anew: BTreeSet<PartitionId>,
}

/// All of them.
pub(super) struct Log {
    processes: BTreeMap<Name, Process>,
    handled: BTreeMap<PartitionId, BTreeSet<i64>>,
    /// The first event that was handled since events were forgotten, and the last.
    ends: BTreeMap<PartitionId, (i64, i64)>,
    repeated: u64,
    lines: u64,
    said: mpsc::UnboundedReceiver<(Name, Option<String>)>,
    say: mpsc::UnboundedSender<(Name, Option<String>)>,
    /// For when something is waited for in vain.
    tail: Vec<String>,
}

impl Default for Log {
    fn default() -> Self {
        let (say, said) = mpsc::unbounded_channel();
        let (processes, handled, ends) = Default::default();
        Self { processes, handled, ends, repeated: 0, lines: 0, said, say, tail: Vec::new() }
    }
}

impl Log {
    /// Starts a process.
    pub(super) fn start(&mut self, name: Name, folder: &Path, connection: &str) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child::child_host", "--nocapture"])
            .env(FOLDER, folder)
            .env(CONNECTION, connection)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let say = self.say.clone();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = say.send((name, Some(line)));
            }
            let _ = say.send((name, None));
        });
        let process = Process {
            input: child.stdin.take(),
            child,
            owned: BTreeSet::new(),
            is_read: false,
            counts: BTreeMap::new(),
            lost: BTreeSet::new(),
            stale: BTreeMap::new(),
            anew: BTreeSet::new(),
        };
        self.processes.insert(name, process);
    }

    /// Kills one at once.
    pub(super) fn kill(&mut self, name: Name) {
        let process = self.process(name);
        process.child.kill().unwrap();
        process.child.wait().unwrap();
    }

    /// Sends it a signal.
    pub(super) fn signal(&mut self, name: Name, signal: &str) {
        let id = self.process(name).child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Ends its input, and waits until it has ended well.
    pub(super) async fn end(&mut self, name: Name) {
        self.process(name).input = None;
        self.wait("its end", Duration::from_secs(20), |log| log.processes[name].is_read).await;
        assert!(self.process(name).child.wait().unwrap().success());
    }

    /// Takes in lines until this holds.
    pub(super) async fn wait(
        &mut self,
        what: &str,
        limit: Duration,
        holds: impl Fn(&Self) -> bool,
    ) {
        let waiting = async {
            while !holds(self) {
                let (name, line) = self.said.recv().await.unwrap();
                self.take(name, line);
            }
        };
        if tokio::time::timeout(limit, waiting).await.is_err() {
            let owned: Vec<_> =
                self.processes.iter().map(|(name, process)| (name, &process.owned)).collect();
            panic!("{what}: not within {limit:?}; {owned:?}\n{}", self.tail.join("\n"));
        }
    }

    /// Takes in all that was said by those who ended.
    pub(super) async fn read_to_the_end(&mut self) {
        let limit = Duration::from_secs(20);
        self.wait("the end of all", limit, |log| {
            log.processes.values().all(|process| process.is_read)
        })
        .await;
    }

    /// What it owns, as far as it said.
    pub(super) fn owned(&self, name: Name) -> BTreeSet<PartitionId> {
        self.processes[name].owned.clone()
    }

    /// Numbers of the events that were handled.
    pub(super) fn handled(&self, partition: PartitionId) -> BTreeSet<i64> {
        self.handled.get(&partition).cloned().unwrap_or_default()
    }

    pub(super) fn handled_by(&self, name: Name, partition: PartitionId) -> u64 {
        self.processes[name].counts.get(&partition).copied().unwrap_or(0)
    }

    /// From now on only events count that are handled from now on.
    pub(super) fn forget_events(&mut self) {
        self.ends.clear();
    }

    /// The first event that was handled since then, by whomever, and the last.
    pub(super) fn ends_of(&self, partition: PartitionId) -> Option<(i64, i64)> {
        self.ends.get(&partition).copied()
    }

    /// How many lines were read.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// The last number up to which all events were handled; -1 when there is none.
    pub(super) fn prefix(&self, partition: PartitionId) -> i64 {
        let handled = self.handled.get(&partition);
        let mut prefix = -1;
        for number in handled.into_iter().flatten() {
            match *number == prefix + 1 {
                true => prefix = *number,
                false => break,
            }
        }
        prefix
    }

    pub(super) fn repeated(&self) -> u64 {
        self.repeated
    }

    /// From now on only what it says from now on counts.
    pub(super) fn forget_counts(&mut self, name: Name) {
        let process = self.process(name);
        process.lost.clear();
        process.stale.clear();
        process.anew.clear();
    }

    pub(super) fn was_told_of_the_loss(&self, name: Name, partition: PartitionId) -> bool {
        self.processes[name].lost.contains(&partition)
    }

    /// Events that it handled since the counts were forgotten, under the ownership it had then.
    pub(super) fn stale(&self, name: Name, partition: PartitionId) -> u64 {
        self.processes[name].stale.get(&partition).copied().unwrap_or(0)
    }

    fn process(&mut self, name: Name) -> &mut Process {
        self.processes.get_mut(name).expect("it was started")
    }

    fn take(&mut self, name: Name, line: Option<String>) {
        self.lines += 1;
        let Some(line) = line else {
            self.process(name).is_read = true;
            return;
        };
        // The harness writes on the same line before the first one.
        let words: Vec<_> = line.split_whitespace().collect();
        let verbs = ["handled", "opened", "closed"];
        let at = words.iter().position(|word| verbs.contains(word)).unwrap_or(words.len());
        let Some(partition) = words.get(at + 1).and_then(|word| PartitionId::new(word).ok()) else {
            self.remember(format!("{name}: {line}"));
            return;
        };
        match words[at] {
            "handled" => {
                let number = words[at + 2].parse().unwrap();
                self.handled_one(name, partition, number);
            }
            verb => {
                self.remember(format!("{name}: {line}"));
                let process = self.process(name);
                if verb == "opened" {
                    process.owned.insert(partition);
                    process.anew.insert(partition);
                } else {
                    process.owned.remove(&partition);
                    process.lost.insert(partition);
                }
            }
        }
    }

    fn handled_one(&mut self, name: Name, partition: PartitionId, number: i64) {
        if !self.handled.entry(partition).or_default().insert(number) {
            self.repeated += 1;
        }
        let ends = self.ends.entry(partition).or_insert((number, number));
        ends.1 = ends.1.max(number);
        let process = self.process(name);
        *process.counts.entry(partition).or_default() += 1;
        if !process.anew.contains(&partition) {
            *process.stale.entry(partition).or_default() += 1;
        }
    }

    fn remember(&mut self, line: String) {
        self.tail.push(line);
        let excess = self.tail.len().saturating_sub(60);
        self.tail.drain(..excess);
    }
}

impl Drop for Log {
    /// Ends those who are left, by their ids.
    fn drop(&mut self) {
        for process in self.processes.values_mut() {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}
