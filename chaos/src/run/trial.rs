//! The profile `client`: everybody works while things go wrong, then comes to rest, and the oracle
//! judges.

use std::sync::Arc;
use std::time::Duration;

use eventhubs_client::Statistics;
use eventhubs_emulator::Limits;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::board::{Board, LANES, Phase};
use super::clock::rest;
use super::consuming::Consumer;
use super::disorder::{Disorder, Struck};
use super::fleet::Fleet;
use super::producing::Task;
use super::report::Report;
use super::site::{Deadlines, Manner, Site, deadlines};
use super::{
    CONSUMERS, Failure, Gauges, Log, ORDERED, PARTITIONS, PRODUCERS, Settings, Silent, failed,
};
use crate::history::{History, Reader, Send};
use crate::oracle;
use crate::random::Random;
use crate::rows::Ground;
use crate::schedule::{self, Window};
use crate::tamper::Bug;
use crate::violation::{Findings, Violation};

/// The part of a run in which nothing goes wrong any more, in percent.
const QUIET: u32 = 25;
/// How long it may take until everything goes forward again once nothing is wrong, and until
/// everything that is stored is read.
const REST_MAX: Duration = Duration::from_secs(45);
/// How often it is looked how far a run is.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How often a run says how it is going.
const STATUS_EVERY: u32 = 25;
/// The length of a run for which the times of the fault matrix are meant.
const FULL_LENGTH: Duration = Duration::from_secs(120);
/// How long what a run has used may take to go away.
const LEAVE_MAX: Duration = Duration::from_secs(5);
/// Bytes that a run may leave behind: what this process keeps once for all.
const LEFT_MAX: usize = 512 << 10;
/// How long tokens live by the service's clock.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);
/// The first run of a process brings up what stays for good; it is short and nothing goes wrong.
const WARM_UP: Duration = Duration::from_millis(300);

/// A run of producers, consumers and faults.
///
/// # Errors
///
/// [`Failure`] when it could not be begun. What went wrong in it is in the report.
pub async fn client(
    settings: &Settings,
    gauges: &Gauges,
    log: &dyn Log,
) -> Result<Report, Failure> {
    let warm_up = Settings { faults: false, length: WARM_UP, bug: None, ..settings.clone() };
    let fresh = Left::now(gauges);
    drop(once(&warm_up, &Silent).await?);
    // What that leaves for good is not counted, but tasks it has none.
    fresh.wait(gauges, |before, now| now.tasks > before.tasks).await;
    let before = Left::now(gauges);
    let mut report = once(settings, log).await?;
    report.line("bytes in use at most", (gauges.peak)());
    before.compare(gauges, &mut report).await;
    if (gauges.panics)() > 0 {
        report.findings.add(Violation::Panicked { times: (gauges.panics)() });
    }
    Ok(report)
}

/// What a run may leave behind.
struct Left {
    bytes: usize,
    tasks: usize,
    files: usize,
}

impl Left {
    fn now(gauges: &Gauges) -> Self {
        let tasks = Handle::current().metrics().num_alive_tasks();
        // Where the system does not tell, there are none before and none after.
        let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Self { bytes: (gauges.live)(), tasks, files }
    }

    fn exceeds(&self, before: &Self) -> bool {
        self.tasks > before.tasks
            || self.files > before.files
            || self.bytes > before.bytes + LEFT_MAX
    }

    /// Waits a while for the end of what is ending.
    async fn wait(&self, gauges: &Gauges, exceeds: impl Fn(&Self, &Self) -> bool) {
        let mut waited = Duration::ZERO;
        while exceeds(self, &Self::now(gauges)) && waited < LEAVE_MAX {
            rest(LOOK_EVERY).await;
            waited += LOOK_EVERY;
        }
    }

    /// Says what is left in the end.
    async fn compare(self, gauges: &Gauges, report: &mut Report) {
        self.wait(gauges, |before, now| now.exceeds(before)).await;
        let after = Self::now(gauges);
        for (what, before, after, more) in [
            ("bytes in use", self.bytes, after.bytes, LEFT_MAX),
            ("tasks", self.tasks, after.tasks, 0),
            ("open files", self.files, after.files, 0),
        ] {
            report.line(format!("{what} before and after"), format!("{before}, {after}"));
            if after > before + more {
                report.findings.add(Violation::Kept { what, before, after });
            }
        }
    }
}

/// Everybody in a run.
struct Crew {
    board: Arc<Board>,
    fleet: Arc<Fleet>,
    producers: JoinSet<Vec<Send>>,
    consumers: JoinSet<Reader>,
}

impl Crew {
    /// Sets everybody to work.
    fn start(site: &Arc<Site>, settings: &Settings, deadlines: Deadlines) -> Result<Self, Failure> {
        let random = Random::new(settings.seed);
        let shared = random.fork(3).chance(50);
        let manner = if settings.retries { Manner::Mixed } else { Manner::Bare };
        let fleet = Arc::new(Fleet::new(Arc::clone(site), manner, !shared && settings.faults));
        let board = Arc::new(Board::new(&random, PARTITIONS, LANES, settings.pace, settings.bug));
        let mut crew = Self { board, fleet, producers: JoinSet::new(), consumers: JoinSet::new() };
        for producer in 0..PRODUCERS {
            let hub = crew.fleet.launch("producer", producer)?;
            for lane in 0..LANES {
                let (board, hub) = (Arc::clone(&crew.board), hub.clone());
                let (fleet, partitions) = (Arc::clone(&crew.fleet), PARTITIONS);
                let task = Task { board, fleet, hub, producer, lane, partitions, deadlines };
                crew.producers.spawn(task.run());
            }
        }
        for consumer in 0..CONSUMERS {
            let hub = match crew.fleet.latest("producer", consumer).filter(|_| shared) {
                Some(hub) => hub,
                None => crew.fleet.launch("consumer", consumer)?,
            };
            let (board, partition) = (Arc::clone(&crew.board), consumer);
            let mut tamper = board.tamper();
            let consuming = Consumer { board, hub, consumer, partition, deadlines };
            crew.consumers.spawn(async move {
                let mut readings = Vec::new();
                consuming.run(|reading| tamper.reading(reading, &mut readings)).await;
                Reader { consumer, partition, readings }
            });
        }
        Ok(crew)
    }

    /// Who has not gone forward since a moment, when partitions ended where they did then.
    fn stuck(&self, since: u64, lasts: &[i64]) -> Vec<String> {
        let board = &self.board;
        let lanes = (0..PRODUCERS * LANES).zip(&board.producing);
        let producers = lanes
            .filter(|(_, progress)| progress.last_start() <= since)
            .map(|(index, _)| format!("task {} of producer {}", index % LANES, index / LANES));
        producers.chain(self.behind(lasts, 1)).collect()
    }

    /// Consumers that have not come so far.
    fn behind(&self, lasts: &[i64], more: i64) -> Vec<String> {
        let reached = self.board.reached.iter().enumerate().zip(lasts);
        reached
            .filter_map(|((partition, reached), last)| {
                let at = reached.load(std::sync::atomic::Ordering::Relaxed);
                (at < last + more)
                    .then(|| format!("the consumer of partition {partition} at {at}, not {last},"))
            })
            .collect()
    }
}

/// One run, and the judgement of the oracle.
async fn once(settings: &Settings, log: &dyn Log) -> Result<Report, Failure> {
    let limits =
        Limits { partition_bytes: 1 << 30, partition_events: 100_000_000, ..Limits::default() };
    let site = Arc::new(Site::start(settings.transport, PARTITIONS, limits, TOKEN_LIFE).await?);
    let deadlines = deadlines();
    let mut crew = Crew::start(&site, settings, deadlines)?;
    let board = Arc::clone(&crew.board);
    let lag = tokio::spawn({
        let board = Arc::clone(&board);
        async move { board.measures.watch_lag().await }
    });
    if board.has(Bug::Linger) {
        tokio::spawn(std::future::pending::<()>());
    }
    let windows = plan(settings);
    windows.iter().for_each(|window| log.line(&window.to_string()));
    let struck = disorder(settings, &site, &board, &windows, log).await;
    site.calm();
    let mut findings = Findings::default();
    let recovered = recover(&site, &crew, &mut findings, log).await;
    let sends = drain(&mut crew, deadlines, &mut findings).await?;
    catch_up(&site, &crew, &mut findings, log).await;
    board.advance(Phase::Over);
    let readers = join(&mut crew.consumers, REST_MAX, "consumers", &mut findings).await?;
    let statistics = crew.fleet.statistics();
    for hub in crew.fleet.hubs() {
        let closed = board.measures.measured("close of a hub", deadlines.close, hub.close()).await;
        if closed.is_none() {
            let (who, waited) = ("the close of a hub".to_owned(), deadlines.close);
            findings.add(Violation::Stuck { who, waited });
        }
    }
    drop(crew);
    lag.abort();
    // It has ended by being aborted.
    let _ = lag.await;
    site.emulator.shutdown().await;
    let unknown_retried = statistics.iter().map(|one| one.unknown_retried).sum();
    let logs = site.logs(board.run)?;
    let (ordered, withheld) = (vec![ORDERED], struck.withheld);
    let history = History { sends, logs, readers, ordered, unknown_retried, withheld };
    board.measures.judge(&mut findings);
    let mut report = judge(&history, findings);
    report.stalls(&board);
    report.line("recovered after", format!("{:.1} s", recovered.as_secs_f64()));
    report.struck(&struck);
    tell_statistics(&mut report, &statistics);
    report.operations(&board);
    report.errors(&board);
    Ok(report)
}

/// What goes wrong in a run, and when.
fn plan(settings: &Settings) -> Vec<Window> {
    if !settings.faults {
        return Vec::new();
    }
    let length = settings.length * (100 - QUIET) / 100;
    let scale = (settings.length.as_secs_f64() / FULL_LENGTH.as_secs_f64()).clamp(0.1, 1.0);
    let names = |what: &'static str, count: u16| (0..count).map(move |id| format!("{what}-{id}"));
    let ground = Ground {
        second: Duration::from_secs(1).mul_f64(scale),
        memory: settings.transport == super::Transport::Memory,
        tls: settings.transport == super::Transport::Tls,
        containers: names("producer", PRODUCERS).chain(names("consumer", CONSUMERS)).collect(),
        partitions: PARTITIONS,
        token_life: TOKEN_LIFE,
    };
    schedule::plan(settings.seed, length, &ground, &settings.rows)
}

/// Lets things go wrong for as long as the settings say, and tells how it is going.
async fn disorder(
    settings: &Settings,
    site: &Site,
    board: &Board,
    windows: &[Window],
    log: &dyn Log,
) -> Struck {
    let work = async {
        let struck = Disorder::new(site, windows).run(board.clock).await;
        board.clock.reach(settings.length * (100 - QUIET) / 100).await;
        struck
    };
    tokio::pin!(work);
    let every = LOOK_EVERY * STATUS_EVERY;
    loop {
        tokio::select! {
            struck = &mut work => return struck,
            () = rest(every) => log.status(&board.status()),
        }
    }
}

/// Waits until everybody goes forward again; how long that took.
async fn recover(site: &Site, crew: &Crew, findings: &mut Findings, log: &dyn Log) -> Duration {
    let lifted = crew.board.clock.elapsed();
    let (since, lasts) = (crew.board.clock.micros(), site.last_sequences());
    let waited = until(crew, log, || crew.stuck(since, &lasts).is_empty()).await;
    for who in crew.stuck(since, &lasts) {
        findings.add(Violation::Stuck { who, waited });
    }
    crew.board.clock.elapsed() - lifted
}

/// Ends the producers; all they have sent.
async fn drain(
    crew: &mut Crew,
    deadlines: Deadlines,
    findings: &mut Findings,
) -> Result<Vec<Send>, Failure> {
    crew.board.advance(Phase::Draining);
    let limit = deadlines.send * 8;
    let sends = join(&mut crew.producers, limit, "producers", findings).await?;
    Ok(sends.into_iter().flatten().collect())
}

/// Waits until everything that is stored was read.
async fn catch_up(site: &Site, crew: &Crew, findings: &mut Findings, log: &dyn Log) {
    let waited = until(crew, log, || crew.behind(&site.last_sequences(), 0).is_empty()).await;
    for who in crew.behind(&site.last_sequences(), 0) {
        findings.add(Violation::Stuck { who, waited });
    }
}

/// Waits until something holds, but not for ever; how long.
async fn until(crew: &Crew, log: &dyn Log, holds: impl Fn() -> bool) -> Duration {
    let start = crew.board.clock.elapsed();
    let mut looks = 0;
    loop {
        let waited = crew.board.clock.elapsed() - start;
        if holds() || waited > REST_MAX {
            return waited;
        }
        rest(LOOK_EVERY).await;
        looks += 1;
        if looks % STATUS_EVERY == 0 {
            log.status(&crew.board.status());
        }
    }
}

/// What tasks return; those that do not end in time are given up.
pub(super) async fn join<T: 'static>(
    tasks: &mut JoinSet<T>,
    limit: Duration,
    who: &str,
    findings: &mut Findings,
) -> Result<Vec<T>, Failure> {
    let mut results = Vec::new();
    let joined = tokio::time::timeout(limit, async {
        while let Some(result) = tasks.join_next().await {
            results.push(result.map_err(failed)?);
        }
        Ok(())
    });
    match joined.await {
        Ok(ended) => ended?,
        Err(_) => {
            let who = format!("{} {who}", tasks.len());
            findings.add(Violation::Stuck { who, waited: limit });
            tasks.abort_all();
        }
    }
    Ok(results)
}

/// Holds the history against the promises.
fn judge(history: &History, mut findings: Findings) -> Report {
    let account = oracle::check(history);
    findings.merge(account.findings.clone());
    let mut report = Report::default();
    report.line("acknowledged", account.acknowledged);
    report.line("lost", findings.count("lost") + findings.count("undelivered"));
    let doubled = format!(
        "{} sends stored again, {} allowed; {} events read again",
        account.stored_again, history.unknown_retried, account.read_again
    );
    report.line("duplicated", doubled);
    report.line("out of order", findings.count("reordered") + findings.count("repeated"));
    report.line("failed for certain", account.failed);
    report.line("unknown", account.unknown);
    report.line("stored", account.stored);
    report.line("read", account.read);
    let told = format!("{} gaps, {} spoiled", account.gaps, account.undecodable);
    report.line("reported by receivers", format!("{told}, {} at most", history.withheld));
    report.findings = findings;
    report
}

pub(super) fn tell_statistics(report: &mut Report, all: &[Statistics]) {
    let sum = |of: fn(&Statistics) -> u64| all.iter().map(of).sum::<u64>();
    let text = format!(
        "{} connections, {} links, {} retries, {} of them after an unknown outcome, {} duplicates \
         dropped, {} gaps, {} stalls, {} busy waits, {} tokens renewed",
        sum(|one| one.connections),
        sum(|one| one.links),
        sum(|one| one.retries),
        sum(|one| one.unknown_retried),
        sum(|one| one.duplicates_dropped),
        sum(|one| one.gaps),
        sum(|one| one.stalls),
        sum(|one| one.busy_waits),
        sum(|one| one.token_renewals),
    );
    report.line("statistics", text);
}
