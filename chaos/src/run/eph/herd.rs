//! The processes of the hosts, from the outside: begun, told, stopped, killed, and read.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::duty::{CLOCK, Duty};
use super::ledger::Ledger;
use super::{HOSTS, MANNERS, STARTED};
use crate::chronicle::{Ending, Process, Span};
use crate::journal::{Entry, Note};
use crate::order::Order;
use crate::run::clock::{Clock, rest};
use crate::run::{Failure, failed};

/// How often a process that was asked to end is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Most lines of one process that are kept and should not be there.
const SAID_MAX: usize = 50;

/// What all processes have in common.
#[derive(Debug, Clone)]
pub(super) struct Common {
    pub(super) program: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) connection: String,
    pub(super) run: u64,
    pub(super) seed: u64,
    pub(super) clock: Clock,
}

/// What a process wrote.
#[derive(Debug, Default)]
struct Book {
    entries: Vec<Entry>,
    said: Vec<String>,
    /// How often its host was started again.
    starts: usize,
}

impl Book {
    fn add(&mut self, entry: Entry) {
        if let Note::Remark(text) = &entry.note
            && text.starts_with(STARTED)
        {
            self.starts += 1;
        }
        self.entries.push(entry);
    }

    fn say(&mut self, text: String) {
        if self.said.len() < SAID_MAX {
            self.said.push(text);
        }
    }
}

/// A process that is there.
#[derive(Debug)]
struct Live {
    child: Child,
    input: Arc<Mutex<ChildStdin>>,
    book: Arc<Mutex<Book>>,
    readers: Vec<JoinHandle<()>>,
    host: u16,
    turn: u16,
    halts: Vec<Span>,
    /// Whether its end is somebody's business already.
    is_ending: bool,
}

#[derive(Debug, Default)]
struct State {
    live: BTreeMap<u16, Live>,
    turns: BTreeMap<u16, u16>,
    past: Vec<Process>,
    /// Orders that new processes get as well.
    standing: BTreeMap<u32, (Option<u16>, Order)>,
}

/// All processes.
#[derive(Debug)]
pub(super) struct Herd {
    common: Common,
    ledger: Arc<Ledger>,
    state: Mutex<State>,
    /// For each host, held while something happens to its process.
    gates: Vec<tokio::sync::Mutex<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Herd {
    pub(super) fn new(common: Common, ledger: Arc<Ledger>) -> Self {
        let gates = (0..HOSTS).map(|_| tokio::sync::Mutex::new(())).collect();
        Self { common, ledger, state: Mutex::default(), gates }
    }

    /// Waits for the turn to do something to the process of a host.
    pub(super) async fn gate(&self, host: u16) -> tokio::sync::MutexGuard<'_, ()> {
        self.gates[usize::from(host)].lock().await
    }

    fn now(&self) -> u64 {
        self.common.clock.micros()
    }

    /// Begins a process for a host.
    pub(super) fn spawn(&self, host: u16) -> Result<(), Failure> {
        let Common { program, folder, connection, run, seed, clock } = self.common.clone();
        let mut state = lock(&self.state);
        let next = state.turns.entry(host).or_default();
        let turn = *next;
        *next += 1;
        let mut child = Command::new(program)
            .arg(super::CHILD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (Some(input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(failed("a process has no pipes"));
        };
        let input = Arc::new(Mutex::new(input));
        let book = Arc::new(Mutex::new(Book::default()));
        let threads = 1 + usize::from((seed / 3 + u64::from(host)) % 2 == 0);
        let manner = MANNERS[usize::from(host) % MANNERS.len()];
        let duty = Duty { host, turn, manner, run, seed, threads, folder, connection };
        write(&input, &duty.to_string());
        let readers = vec![
            std::thread::spawn({
                let (book, input) = (Arc::clone(&book), Arc::clone(&input));
                let ledger = Arc::clone(&self.ledger);
                move || read(output, clock, &input, &book, &ledger)
            }),
            std::thread::spawn({
                let book = Arc::clone(&book);
                move || {
                    for line in BufReader::new(errors).lines().map_while(Result::ok) {
                        lock(&book).say(line);
                    }
                }
            }),
        ];
        for (whose, order) in state.standing.values() {
            if whose.is_none_or(|whose| whose == host) {
                write(&input, &format!("{order}\n"));
            }
        }
        let (halts, is_ending) = (Vec::new(), false);
        let live = Live { child, input, book, readers, host, turn, halts, is_ending };
        state.live.insert(host, live);
        Ok(())
    }

    /// Tells the process of a host something, if there is one.
    fn order(&self, host: u16, order: Order) {
        if let Some(live) = lock(&self.state).live.get(&host) {
            write(&live.input, &format!("{order}\n"));
        }
    }

    /// Tells the process of a host, or all of them, and those that come later.
    pub(super) fn stand(&self, id: u32, host: Option<u16>, order: Order) {
        let mut state = lock(&self.state);
        state.standing.insert(id, (host, order));
        for live in state.live.values().filter(|live| host.is_none_or(|host| host == live.host)) {
            write(&live.input, &format!("{order}\n"));
        }
    }

    /// Takes that back.
    pub(super) fn lift(&self, id: u32) {
        let mut state = lock(&self.state);
        state.standing.remove(&id);
        for live in state.live.values() {
            write(&live.input, &format!("{}\n", Order::Lift { id }));
        }
    }

    /// Has a host stopped and started in its process; whether that was done in time.
    pub(super) async fn cycle(&self, host: u16, pause: Duration, limit: Duration) -> bool {
        let starts = || {
            let state = lock(&self.state);
            state.live.get(&host).map(|live| lock(&live.book).starts)
        };
        let before = starts();
        self.order(host, Order::Cycle { pause });
        let start = self.common.clock.elapsed();
        while starts() == before && before.is_some() {
            if self.common.clock.elapsed() - start > limit {
                return false;
            }
            rest(LOOK_EVERY).await;
        }
        true
    }

    /// Kills the process of a host.
    pub(super) fn kill(&self, host: u16) {
        let at = self.now();
        let live = lock(&self.state).live.remove(&host);
        if let Some(mut live) = live {
            // It may have ended by itself just now.
            let _ = live.child.kill();
            self.bury(live, at, Ending::Killed);
        }
    }

    /// Asks the process of a host to end; whether it did in time. Then it is killed.
    pub(super) async fn end(&self, host: u16, limit: Duration) -> bool {
        self.expect_end(host);
        self.order(host, Order::End);
        let start = self.common.clock.elapsed();
        loop {
            let status = self.status(host);
            if let Some(status) = status {
                let live = lock(&self.state).live.remove(&host);
                let ending = if status.success() { Ending::Asked } else { Ending::Died };
                live.into_iter().for_each(|live| self.bury(live, self.now(), ending));
                return true;
            }
            if self.common.clock.elapsed() - start > limit {
                self.kill(host);
                return false;
            }
            rest(LOOK_EVERY).await;
        }
    }

    fn expect_end(&self, host: u16) {
        if let Some(live) = lock(&self.state).live.get_mut(&host) {
            live.is_ending = true;
        }
    }

    /// How the process of a host ended; `None` while it is there.
    fn status(&self, host: u16) -> Option<ExitStatus> {
        match lock(&self.state).live.get_mut(&host) {
            Some(live) => live.child.try_wait().ok().flatten(),
            None => Some(ExitStatus::default()),
        }
    }

    /// Stops the process of a host by a signal, for a while. The shell that does it lets it go on
    /// even if this process ends meanwhile.
    pub(super) async fn halt(&self, host: u16, time: Duration) {
        let id = lock(&self.state).live.get(&host).map(|live| live.child.id());
        let Some(id) = id else { return };
        let from = self.now();
        let halting = tokio::task::spawn_blocking(move || {
            Command::new("sh")
                .args(["-c", r#"kill -STOP "$0"; sleep "$1"; kill -CONT "$0""#])
                .args([id.to_string(), format!("{:.3}", time.as_secs_f64())])
                .status()
        });
        // One that ended meanwhile is noticed elsewhere.
        let _ = halting.await;
        if let Some(live) = lock(&self.state).live.get_mut(&host) {
            live.halts.push(Span { from, to: self.now() });
        }
    }

    /// Buries processes that ended by themselves.
    pub(super) fn look(&self) {
        let mut state = lock(&self.state);
        let is_dead = |live: &mut Live| {
            !live.is_ending && live.child.try_wait().is_ok_and(|status| status.is_some())
        };
        let dead: Vec<_> = state
            .live
            .iter_mut()
            .filter_map(|(host, live)| is_dead(live).then_some(*host))
            .collect();
        let dead: Vec<_> = dead.iter().filter_map(|host| state.live.remove(host)).collect();
        drop(state);
        dead.into_iter().for_each(|live| self.bury(live, self.now(), Ending::Died));
    }

    fn bury(&self, mut live: Live, at: u64, ending: Ending) {
        // What is left in the pipes is read to its end, which is there when the process is not.
        let _ = live.child.wait();
        for reader in live.readers.drain(..) {
            let _ = reader.join();
        }
        let mut book = lock(&live.book);
        let process = Process {
            host: live.host,
            turn: live.turn,
            manner: MANNERS[usize::from(live.host) % MANNERS.len()],
            entries: std::mem::take(&mut book.entries),
            ended: Some((at, ending)),
            halts: std::mem::take(&mut live.halts),
            said: std::mem::take(&mut book.said),
        };
        lock(&self.state).past.push(process);
    }

    /// How many processes are there.
    pub(super) fn alive(&self) -> usize {
        lock(&self.state).live.len()
    }

    /// All processes that have ended, in the order of hosts and turns.
    pub(super) fn take_past(&self) -> Vec<Process> {
        let mut past = std::mem::take(&mut lock(&self.state).past);
        past.sort_by_key(|process| (process.host, process.turn));
        past
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        for live in lock(&self.state).live.values_mut() {
            let _ = live.child.kill();
            let _ = live.child.wait();
        }
    }
}

/// Says something to a process. One that is gone does not hear it.
fn write(input: &Mutex<ChildStdin>, text: &str) {
    let mut input = lock(input);
    let _ = input.write_all(text.as_bytes()).and_then(|()| input.flush());
}

/// Reads what a process writes, to its end.
fn read(
    output: impl Read,
    clock: Clock,
    input: &Mutex<ChildStdin>,
    book: &Mutex<Book>,
    ledger: &Ledger,
) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if line == CLOCK {
            write(input, &format!("{}\n", clock.micros()));
            continue;
        }
        let mut book = lock(book);
        match line.parse::<Entry>() {
            Ok(entry) => {
                ledger.book(&entry.note);
                book.add(entry);
            }
            Err(problem) => book.say(problem.to_string()),
        }
    }
}
