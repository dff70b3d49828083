//! Three worker processes share twelve partitions while events come in; one of them is killed with
//! SIGKILL. Shows how its partitions move to the others, and at the end whether anything was lost:
//! every event that the service acknowledged must have been handled. Those that were handled twice
//! are counted. Ends by itself after about half a minute, with an error if an event was lost.
//!
//! The three are this program again, as the worker that `process` is, on an emulator in here and a
//! folder for leases and checkpoints that is thrown away.

mod service;
mod table;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::error::Error;
use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use clap::Parser;
use eventhubs_client::Hub;
use eventhubs_emulator::{Config, DEFAULT_HUB, Emulator};
use table::{Row, Table};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{interval, timeout};

const PARTITIONS: usize = 12;
const NAMES: [&str; 3] = ["a", "b", "c"];
/// The one that is killed, and those that stay.
const VICTIM: usize = 1;
const SURVIVORS: [usize; 2] = [0, 2];
/// Events that it has handled by then. Its last checkpoint is some seconds old, so the others repeat
/// a part of them.
const BEFORE_THE_KILL: u64 = 500;
/// The shortest lease there is: for so long, the partitions of a killed worker stand still.
const LEASE: &str = "15";
/// From one event to the next.
const PACE: Duration = Duration::from_millis(5);
/// For what is still to be handled when nothing more is sent.
const REST: Duration = Duration::from_secs(20);
/// For the whole run.
const LIMIT: Duration = Duration::from_secs(58);
/// Lines of workers and results of the producer that wait to be taken in.
const NEWS_MAX: usize = 1024;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "worker") {
        return service::run(service::Options::parse_from(arguments)).await;
    }
    match timeout(LIMIT, show()).await {
        Ok(result) => result,
        Err(_) => Err(format!("this took longer than {} s", LIMIT.as_secs()).into()),
    }
}

async fn show() -> Result<(), Failure> {
    let config = Config::default().with_hub(DEFAULT_HUB, u32::try_from(PARTITIONS)?);
    let emulator = Emulator::start(config.with_listen([([127, 0, 0, 1], 0).into()])).await?;
    let text = emulator.connection_string_for(DEFAULT_HUB);
    let folder = tempfile::tempdir()?;
    let (tell, news) = mpsc::channel(NEWS_MAX);
    let mut workers = Vec::new();
    for (at, name) in NAMES.into_iter().enumerate() {
        workers.push(Worker::start(at, name, folder.path(), &text, &tell)?);
    }
    let hub = Hub::from_connection_string(&text)?;
    let (enough, stop) = oneshot::channel();
    let producer = tokio::spawn(produce(hub.clone(), stop, tell));

    let mut run = Run::new(workers, news);
    run.until(|run| run.is_shared_by(&[0, 1, 2])).await?;
    run.note("all partitions are shared");
    run.until(|run| run.workers[VICTIM].handled >= BEFORE_THE_KILL).await?;
    run.note("worker b is killed");
    run.workers[VICTIM].kill().await?;
    run.until(|run| run.is_shared_by(&SURVIVORS)).await?;
    run.note("the others have its partitions; no more events are sent");
    drop(enough);
    match timeout(REST, run.until(|run| run.is_all_sent && run.tally.lost() == 0)).await {
        Ok(result) => result?,
        Err(_) => return run.judge(),
    }
    run.note("every acknowledged event was handled; the workers are told to end");
    run.workers.iter_mut().for_each(|worker| drop(worker.child.stdin.take()));
    run.until(|run| run.workers.iter().all(|worker| worker.is_over)).await?;
    for at in SURVIVORS {
        let status = run.workers[at].child.wait().await?;
        if !status.success() {
            return Err(format!("worker {} ended with {status}", NAMES[at]).into());
        }
    }
    producer.await??;
    hub.close().await;
    emulator.shutdown().await;
    run.judge()
}

/// What the parts of a run tell.
enum News {
    /// A worker printed a line.
    Line(usize, String),
    /// A worker is gone.
    Over(usize),
    /// The service acknowledged the event with this number.
    Acknowledged(u64),
    /// No more events are sent.
    AllSent,
}

/// Sends one numbered event after the other, to whatever partition the service likes.
async fn produce(
    hub: Hub,
    mut stop: oneshot::Receiver<()>,
    tell: mpsc::Sender<News>,
) -> Result<(), Failure> {
    let mut pace = interval(PACE);
    for number in 0.. {
        tokio::select! {
            _ = &mut stop => break,
            _ = pace.tick() => {}
        }
        hub.send(number.to_string()).await?;
        tell.send(News::Acknowledged(number)).await?;
    }
    Ok(tell.send(News::AllSent).await?)
}

/// A process that is this program again.
struct Worker {
    name: &'static str,
    child: Child,
    partitions: Vec<String>,
    handled: u64,
    is_killed: bool,
    /// Its output has ended.
    is_over: bool,
}

impl Worker {
    fn start(
        at: usize,
        name: &'static str,
        store: &Path,
        connection_string: &str,
        tell: &mpsc::Sender<News>,
    ) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["worker", "--name", name, "--lease", LEASE, "--scan", "1"]);
        // It ends when its standard input does, and so with this process, however that ends.
        command.args(["--with-parent", "--print-events", "--store"]).arg(store);
        command.env("EVENTHUB_CONNECTION_STRING", connection_string);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        if let Some(output) = child.stdout.take() {
            tokio::spawn(read(at, output, tell.clone()));
        }
        let (partitions, handled) = (Vec::new(), 0);
        Ok(Self { name, child, partitions, handled, is_killed: false, is_over: false })
    }

    async fn kill(&mut self) -> Result<(), Failure> {
        self.is_killed = true;
        self.partitions.clear();
        Ok(self.child.kill().await?)
    }

    fn row(&self) -> Row {
        let state = match (self.is_killed, self.is_over) {
            (true, _) => "killed",
            (false, true) => "ended",
            (false, false) => "works",
        };
        let partitions = self.partitions.join(" ");
        Row { name: self.name, state, partitions, handled: self.handled }
    }
}

async fn read(at: usize, output: ChildStdout, tell: mpsc::Sender<News>) -> Result<(), Failure> {
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await? {
        tell.send(News::Line(at, line)).await?;
    }
    Ok(tell.send(News::Over(at)).await?)
}

/// What was sent, and what was handled how often.
#[derive(Default)]
struct Tally {
    acknowledged: HashSet<u64>,
    handled: HashMap<u64, u32>,
}

impl Tally {
    fn lost(&self) -> usize {
        self.acknowledged.iter().filter(|number| !self.handled.contains_key(number)).count()
    }

    fn repeated(&self) -> u32 {
        self.handled.values().map(|times| times - 1).sum()
    }
}

struct Run {
    workers: Vec<Worker>,
    news: mpsc::Receiver<News>,
    is_all_sent: bool,
    tally: Tally,
    table: Table,
}

impl Run {
    fn new(workers: Vec<Worker>, news: mpsc::Receiver<News>) -> Self {
        let (tally, table) = (Tally::default(), Table::new());
        Self { workers, news, is_all_sent: false, tally, table }
    }

    /// Takes in what is told until something is so.
    async fn until(&mut self, is_so: impl Fn(&Self) -> bool) -> Result<(), Failure> {
        let mut redraw = interval(Duration::from_millis(200));
        while !is_so(self) {
            tokio::select! {
                news = self.news.recv() => self.take(news.ok_or("nobody is left")?)?,
                _ = redraw.tick() => self.draw(),
            }
        }
        self.draw();
        Ok(())
    }

    fn take(&mut self, news: News) -> Result<(), Failure> {
        match news {
            News::Line(at, line) => self.read(at, &line)?,
            News::Over(at) => {
                let worker = &mut self.workers[at];
                worker.is_over = true;
                // One that is told to end still has its standard input's other end closed by us.
                let is_told = worker.is_killed || worker.child.stdin.is_none();
                if !is_told {
                    return Err(format!("worker {} ended by itself", worker.name).into());
                }
            }
            News::Acknowledged(number) => drop(self.tally.acknowledged.insert(number)),
            News::AllSent => self.is_all_sent = true,
        }
        Ok(())
    }

    /// A line of a worker: `a: event 3/57: 1201`, `a: 2 partitions [0 5], 12 events handled`, or
    /// something that is for people.
    fn read(&mut self, at: usize, line: &str) -> Result<(), Failure> {
        let worker = &mut self.workers[at];
        let Some((_, line)) = line.split_once(": ") else { return Ok(()) };
        if let Some(event) = line.strip_prefix("event ") {
            let number = event.rsplit(' ').next().unwrap_or_default().parse()?;
            *self.tally.handled.entry(number).or_default() += 1;
            worker.handled += 1;
        } else if let Some((partitions, _)) = status(line).filter(|_| !worker.is_killed) {
            worker.partitions = partitions.split_whitespace().map(str::to_owned).collect();
        }
        Ok(())
    }

    /// Whether these workers have all partitions, each of them as many as the others.
    fn is_shared_by(&self, sharers: &[usize]) -> bool {
        let owned = || sharers.iter().map(|&at| &self.workers[at].partitions);
        let distinct: BTreeSet<&String> = owned().flatten().collect();
        distinct.len() == PARTITIONS
            && owned().all(|owned| owned.len() * sharers.len() == PARTITIONS)
    }

    fn note(&mut self, text: &str) {
        self.table.note(text);
        self.draw();
    }

    fn draw(&mut self) {
        let rows: Vec<Row> = self.workers.iter().map(Worker::row).collect();
        let Tally { acknowledged, handled } = &self.tally;
        let (sent, handled, repeated) = (acknowledged.len(), handled.len(), self.tally.repeated());
        let numbers = format!("{sent} acknowledged, {handled} handled, {repeated} more than once");
        self.table.draw(&rows, &numbers);
    }

    fn judge(&self) -> Result<(), Failure> {
        match self.tally.lost() {
            0 if self.is_all_sent => Ok(()),
            0 => Err("the producer did not end".into()),
            lost => Err(format!("{lost} acknowledged events were never handled").into()),
        }
    }
}

/// Partitions and the rest of a worker's line about them.
fn status(line: &str) -> Option<(&str, &str)> {
    line.split_once(" partitions [")?.1.split_once(']')
}
