//! The profile `eph`: hosts in processes of their own share the partitions of an emulator in this
//! one, while processes, the store, the network and the hub fail; then all is quiet, and the oracle
//! judges what the processes wrote.

mod child;
mod duty;
mod frail;
mod herd;
mod ledger;
mod scribe;
mod turmoil;
mod watching;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eventhubs_client::{ConsumerGroup, HubName, PartitionId};
use eventhubs_emulator::Limits;
use eventhubs_eph::FileStore;
use tokio::task::JoinSet;

use self::herd::{Common, Herd};
use self::ledger::Ledger;
use self::turmoil::{Turmoil, Wake};
use self::watching::{Seen, Watcher};
use super::board::{Board, LANES, Phase};
use super::clock::rest;
use super::disorder::{Disorder, Struck};
use super::fleet::Fleet;
use super::producing::Task;
use super::report::Report;
use super::site::{HUB, Site, deadlines};
use super::{Failure, Gauges, Log, PRODUCERS, Settings, Transport, failed};
use crate::chronicle::{Chronicle, Ending, Holding, Manner, Process, Span};
use crate::history::{History, Send};
use crate::journal::Note;
use crate::oracle::hosts::{self, HostAccount};
use crate::random::Random;
use crate::rows::Ground;
use crate::schedule::{self, Window};
use crate::upheaval::{self, Field, Upheaval};
use crate::violation::{Findings, Violation};

pub use self::child::child;

/// The argument with which a program is the process of a host.
pub const CHILD: &str = "--child";

/// Hosts, each in a process of its own.
const HOSTS: u16 = 3;
/// Partitions of the hub.
const PARTITIONS: u16 = 16;
/// How the handlers of the hosts take events.
const MANNERS: [Manner; 3] = [Manner::Each, Manner::Batch, Manner::Keys];
/// The times of the hosts: the shortest lease there is.
const LEASE: Duration = Duration::from_secs(15);
const RENEWAL: Duration = Duration::from_secs(5);
const GRACE: Duration = Duration::from_secs(3);
const SCAN: Duration = Duration::from_secs(2);
/// A host that is asked to stop does so within its grace, a few calls and what ends them.
const STOP_MAX: Duration = Duration::from_secs(25);
/// The store's folder has this name of a namespace in it.
const NAMESPACE: &str = "chaos.example";
/// How a child begins the line about a host that it has started again.
const STARTED: &str = "started:";

/// Nothing goes wrong before hosts that begin together have shared everything.
const BEGIN: Duration = Duration::from_secs(8);
/// Scans in which nothing may move in the end; fewer after a run that is shorter than this.
const STILL: u32 = 50;
const FULL_LENGTH: Duration = Duration::from_secs(100);
/// Pause of a producer's task between two operations.
const PACE: Duration = Duration::from_millis(120);
/// How long tokens live.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);
/// What is lifted from the network and the hub is over for everybody after this time.
const AFTERMATH: Duration = Duration::from_secs(2);
/// How long it may take until everything that is stored was handled.
const CATCH_UP_MAX: Duration = Duration::from_secs(45);
/// How often it is looked how far a run is, and how many looks are between two words about it.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const STATUS_EVERY: u32 = 10;
/// Bytes that a host may leave behind in its process.
const LEFT_MAX: usize = 64 << 10;

/// The number of a partition.
fn number(partition: PartitionId) -> u16 {
    partition.as_u16()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// A run of hosts in processes of their own, producers, and faults of everything.
///
/// # Errors
///
/// [`Failure`] when it could not be begun. What went wrong in it is in the report.
pub async fn eph(settings: &Settings, gauges: &Gauges, log: &dyn Log) -> Result<Report, Failure> {
    let folder = tempfile::tempdir().map_err(failed)?;
    let mut stage = Stage::begin(settings, folder.path()).await?;
    let (chronicle, struck, findings) = stage.run(settings, log).await?;
    let mut account = hosts::check(&chronicle);
    account.findings.merge(findings);
    for process in &chronicle.processes {
        left(process, &mut account.findings);
    }
    if (gauges.panics)() > 0 {
        account.findings.add(Violation::Panicked { times: (gauges.panics)() });
    }
    let mut report = tell(&chronicle, account);
    report.struck(&struck);
    super::trial::tell_statistics(&mut report, &stage.fleet.statistics());
    report.errors(&stage.board);
    if !report.findings.is_empty() {
        // For whoever looks for the cause; it stays when this process ends.
        let kept = keep(&chronicle, settings.seed).map_err(failed)?;
        report.line("journals", kept.display());
    }
    Ok(report)
}

/// Everybody in a run.
struct Stage {
    site: Arc<Site>,
    board: Arc<Board>,
    fleet: Arc<Fleet>,
    herd: Arc<Herd>,
    ledger: Arc<Ledger>,
    watcher: Watcher,
    folder: PathBuf,
    producers: JoinSet<Vec<Send>>,
    watchers: JoinSet<()>,
}

impl Stage {
    async fn begin(settings: &Settings, folder: &Path) -> Result<Self, Failure> {
        let limits =
            Limits { partition_bytes: 1 << 30, partition_events: 100_000_000, ..Limits::default() };
        let site = Site::start(Transport::Tcp, PARTITIONS, limits, TOKEN_LIFE).await?;
        let site = Arc::new(site);
        let random = Random::new(settings.seed);
        let board = Arc::new(Board::new(&random, PARTITIONS, LANES, PACE, None));
        let clock = board.clock;
        let program = match &settings.program {
            Some(program) => program.clone(),
            None => std::env::current_exe().map_err(failed)?,
        };
        let ledger = Arc::new(Ledger::new(PARTITIONS));
        let common = Common {
            program,
            folder: folder.to_owned(),
            connection: site.emulator.connection_string_for(HUB),
            run: board.run,
            seed: settings.seed,
            clock,
        };
        let herd = Arc::new(Herd::new(common, Arc::clone(&ledger)));
        let fleet = Arc::new(Fleet::new(Arc::clone(&site), super::site::Manner::Steadfast, true));
        let hub = HubName::new(HUB).map_err(failed)?;
        let store = FileStore::new(folder, NAMESPACE, &hub, &ConsumerGroup::default());
        let watcher = Watcher {
            site: Arc::clone(&site),
            store: store.map_err(failed)?,
            herd: Arc::clone(&herd),
            clock,
            partitions: PARTITIONS,
            seen: Arc::new(Mutex::new(Seen::default())),
        };
        let (producers, watchers) = (JoinSet::new(), JoinSet::new());
        let folder = folder.to_owned();
        Ok(Self { site, board, fleet, herd, ledger, watcher, folder, producers, watchers })
    }

    /// Sets everybody to work.
    fn start(&mut self) -> Result<(), Failure> {
        for host in 0..HOSTS {
            self.herd.spawn(host)?;
        }
        for producer in 0..PRODUCERS {
            let hub = self.fleet.launch("producer", producer)?;
            for lane in 0..LANES {
                let (board, hub) = (Arc::clone(&self.board), hub.clone());
                let (fleet, partitions) = (Arc::clone(&self.fleet), PARTITIONS);
                let deadlines = deadlines();
                let task = Task { board, fleet, hub, producer, lane, partitions, deadlines };
                self.producers.spawn(task.run());
            }
        }
        self.watchers.spawn(self.watcher.clone().owners());
        self.watchers.spawn(self.watcher.clone().checkpoints());
        let board = Arc::clone(&self.board);
        self.watchers.spawn(async move { board.measures.watch_lag().await });
        Ok(())
    }

    /// From the beginning to the end.
    async fn run(
        &mut self,
        settings: &Settings,
        log: &dyn Log,
    ) -> Result<(Chronicle, Struck, Findings), Failure> {
        let (windows, plan) = plans(settings);
        windows.iter().for_each(|window| log.line(&window.to_string()));
        plan.iter().for_each(|window| log.line(&window.to_string()));
        self.start()?;
        let (struck, wake) = self.disorder(settings, &windows, &plan, log).await;
        let Wake { mut troubles, departures, wipes, mut findings } = wake;
        for Window { at, until, .. } in &windows {
            troubles.push(Span { from: micros(*at), to: micros(*until + AFTERMATH) });
        }
        let holdings = self.quiet(settings, &mut findings, log).await;
        let alive = self.herd.alive();
        self.board.advance(Phase::Draining);
        let limit = deadlines().send * 8;
        let sends =
            super::trial::join(&mut self.producers, limit, "producers", &mut findings).await?;
        self.catch_up(&mut findings, log).await;
        self.close(&mut findings).await;
        let unknown_retried = self.fleet.statistics().iter().map(|one| one.unknown_retried).sum();
        let history = History {
            sends: sends.into_iter().flatten().collect(),
            logs: self.site.logs(self.board.run)?,
            ordered: vec![super::ORDERED],
            unknown_retried,
            ..History::default()
        };
        self.site.emulator.shutdown().await;
        let seen =
            std::mem::take(&mut *self.watcher.seen.lock().unwrap_or_else(PoisonError::into_inner));
        let chronicle = Chronicle {
            history,
            processes: self.herd.take_past(),
            attached: seen.attached,
            crowds: seen.crowds,
            looks: seen.looks,
            holdings,
            alive,
            wipes,
            troubles,
            departures,
            end: self.board.clock.micros(),
            lease: LEASE,
            scan: SCAN,
        };
        Ok((chronicle, struck, findings))
    }

    /// Lets things go wrong.
    async fn disorder(
        &self,
        settings: &Settings,
        windows: &[Window],
        plan: &[Upheaval],
        log: &dyn Log,
    ) -> (Struck, Wake) {
        let clock = self.board.clock;
        let turmoil = self.turmoil();
        let work = async {
            let strike = Disorder::new(&self.site, windows).run(clock);
            let (struck, ()) = tokio::join!(strike, turmoil.run(plan));
            clock.reach(settings.length).await;
            struck
        };
        tokio::pin!(work);
        let struck = loop {
            tokio::select! {
                struck = &mut work => break struck,
                () = rest(LOOK_EVERY * STATUS_EVERY) => log.status(&self.status()),
            }
        };
        self.site.calm();
        let wake =
            std::mem::take(&mut *turmoil.wake.lock().unwrap_or_else(PoisonError::into_inner));
        (struck, wake)
    }

    fn turmoil(&self) -> Turmoil<'_> {
        Turmoil {
            herd: &self.herd,
            site: &self.site,
            store: &self.watcher.store,
            folder: &self.folder,
            clock: self.board.clock,
            wake: Mutex::default(),
        }
    }

    fn status(&self) -> String {
        let (sent, lasts) = (self.board.status(), self.site.last_sequences());
        let sent = sent.split("  read").next().unwrap_or_default().to_owned();
        format!("{sent}  {}  hosts {}", self.ledger.status(&lasts), self.herd.alive())
    }

    /// Waits until everything has an owner and is shared fairly, and watches that it stays so.
    async fn quiet(
        &self,
        settings: &Settings,
        findings: &mut Findings,
        log: &dyn Log,
    ) -> Vec<Holding> {
        let clock = self.board.clock;
        let part = settings.length.as_secs_f64() / FULL_LENGTH.as_secs_f64();
        let still = SCAN.mul_f64(f64::from(STILL) * part.min(1.0));
        let settled = clock.elapsed() + LEASE + SCAN * 4;
        let mut looks = 0;
        let mut holdings = Vec::new();
        while clock.elapsed() < settled + still {
            rest(LOOK_EVERY).await;
            looks += 1;
            if looks % STATUS_EVERY == 0 {
                log.status(&self.status());
            }
            if clock.elapsed() > settled && looks % STATUS_EVERY == 0 {
                holdings.extend(self.watcher.holding().await);
            }
        }
        if holdings.is_empty() {
            let (who, waited) = ("the store, which does not tell who owns what".to_owned(), still);
            findings.add(Violation::Stuck { who, waited });
        }
        holdings
    }

    /// Waits until everything that is stored is handled.
    async fn catch_up(&self, findings: &mut Findings, log: &dyn Log) {
        let clock = self.board.clock;
        let start = clock.elapsed();
        let mut looks = 0;
        while clock.elapsed() - start < CATCH_UP_MAX {
            if self.ledger.behind(&self.site.last_sequences()).is_empty() {
                return;
            }
            rest(LOOK_EVERY).await;
            looks += 1;
            if looks % STATUS_EVERY == 0 {
                log.status(&self.status());
            }
        }
        for (partition, missing) in self.ledger.behind(&self.site.last_sequences()) {
            let who = format!("{missing} events of partition {partition}");
            findings.add(Violation::Stuck { who, waited: CATCH_UP_MAX });
        }
    }

    /// Asks everybody to end.
    async fn close(&mut self, findings: &mut Findings) {
        let turmoil = self.turmoil();
        futures_util::future::join_all((0..HOSTS).map(|host| turmoil.end(host))).await;
        let wake = turmoil.wake.into_inner().unwrap_or_else(PoisonError::into_inner);
        findings.merge(wake.findings);
        self.watchers.shutdown().await;
        for hub in self.fleet.hubs() {
            let limit = deadlines().close;
            // What producers do is the business of another profile.
            let _ = tokio::time::timeout(limit, hub.close()).await;
        }
    }
}

/// What strikes at the hub and the network, and what becomes of processes, handlers and the store.
fn plans(settings: &Settings) -> (Vec<Window>, Vec<Upheaval>) {
    let length = settings.length;
    if !settings.faults {
        return (Vec::new(), Vec::new());
    }
    let field = Field { hosts: HOSTS, partitions: PARTITIONS, lease: LEASE };
    let plan = match settings.rows.is_empty() {
        true => upheaval::plan(settings.seed, BEGIN, length, field),
        false => Vec::new(),
    };
    let names = |what: &'static str, count: u16| (0..count).map(move |id| format!("{what}-{id}"));
    let ground = Ground {
        second: Duration::from_secs(1),
        memory: false,
        tls: false,
        containers: names("host", HOSTS).chain(names("producer", PRODUCERS)).collect(),
        partitions: PARTITIONS,
        token_life: TOKEN_LIFE,
    };
    let rows: Vec<String> = match settings.rows.is_empty() {
        // In a third of the runs nothing strikes but at processes and the store.
        true if settings.seed.is_multiple_of(3) => return (Vec::new(), plan),
        true => upheaval::ROWS.iter().map(|row| (*row).to_owned()).collect(),
        false => settings.rows.clone(),
    };
    let mut windows = schedule::plan(settings.seed, length.saturating_sub(BEGIN), &ground, &rows);
    for window in &mut windows {
        window.at += BEGIN;
        window.until += BEGIN;
    }
    (windows, plan)
}

/// A process that was asked to end leaves nothing of its host behind.
fn left(process: &Process, findings: &mut Findings) {
    let gauges = process.entries.iter().filter_map(|entry| match entry.note {
        Note::Gauge { at_work: false, bytes, tasks, files } => Some((bytes, tasks, files)),
        _ => None,
    });
    let gauges: Vec<_> = gauges.collect();
    let ([before, .., after], Some((_, Ending::Asked))) = (&gauges[..], process.ended) else {
        return;
    };
    for (what, before, after, more) in [
        ("bytes in use", before.0, after.0, LEFT_MAX),
        ("tasks", before.1, after.1, 0),
        ("open files", before.2, after.2, 0),
    ] {
        if after > before + more {
            findings.add(Violation::Kept { what, before, after });
        }
    }
}

/// The figures of a run.
fn tell(chronicle: &Chronicle, account: HostAccount) -> Report {
    let mut report = Report::default();
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    let count = |ending| {
        let ended = |process: &&Process| process.ended.is_some_and(|(_, how)| how == ending);
        chronicle.processes.iter().filter(ended).count()
    };
    let halts: usize = chronicle.processes.iter().map(|process| process.halts.len()).sum();
    report.line("acknowledged", account.sends.acknowledged);
    report.line("stored", account.sends.stored);
    report.line("handled", account.handled);
    let findings = &account.findings;
    report.line("unhandled", findings.count("unhandled") + findings.count("lost"));
    let again = format!(
        "{} by the next owner, {} after a failure",
        account.again_by_owner, account.again_by_failure
    );
    report.line("handled again", again);
    report.line("handlers failed", account.failures);
    report.line("ownerships", account.ownerships);
    report.line("given back in peace", account.handed_over);
    report.line("checkpoints", account.checkpoints);
    let overlap = format!("{} calls, {} at most", account.overlapped, seconds(account.overlap));
    report.line("called beside the next owner", overlap);
    let waits = format!("{}, in peace {}", seconds(account.wait), seconds(account.wait_in_peace));
    report.line("longest wait of an event", waits);
    let processes = format!(
        "{}: {} killed, {} asked to end, {} died; {halts} halts",
        chronicle.processes.len(),
        count(Ending::Killed),
        count(Ending::Asked),
        count(Ending::Died),
    );
    report.line("processes", processes);
    let (bytes, tasks, files) = most(chronicle);
    report.line("of a process at work", format!("{bytes} bytes, {tasks} tasks, {files} files"));
    let shares = chronicle.holdings.last().map(shares).unwrap_or_default();
    report.line("shares in the end", format!("{shares:?}, {} looks", chronicle.holdings.len()));
    report.findings = account.findings;
    report
}

/// Most that a process used when it was told to end.
fn most(chronicle: &Chronicle) -> (usize, usize, usize) {
    let entries = chronicle.processes.iter().flat_map(|process| &process.entries);
    entries.fold((0, 0, 0), |most, entry| match entry.note {
        Note::Gauge { at_work: true, bytes, tasks, files } => {
            (most.0.max(bytes), most.1.max(tasks), most.2.max(files))
        }
        _ => most,
    })
}

/// Partitions of each owner.
fn shares(holding: &Holding) -> Vec<usize> {
    let mut owners: Vec<_> = holding.owners.iter().flatten().map(|(owner, _)| owner).collect();
    owners.sort_unstable();
    owners.chunk_by(|one, other| one == other).map(<[_]>::len).collect()
}

/// Writes the journals down.
fn keep(chronicle: &Chronicle, seed: u64) -> std::io::Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("chaos-eph-{seed}-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    for process in &chronicle.processes {
        let Process { host, turn, entries, ended, halts, .. } = process;
        let mut text = String::new();
        for entry in entries {
            text.push_str(&entry.to_string());
            text.push('\n');
        }
        text.push_str(&format!("{ended:?}, halts {halts:?}\n"));
        std::fs::write(folder.join(format!("host-{host}-{turn}")), text)?;
    }
    let outside = format!(
        "{:#?}\n{:#?}\n{:?}\n{:#?}\n",
        chronicle.attached, chronicle.wipes, chronicle.troubles, chronicle.looks
    );
    std::fs::write(folder.join("outside"), outside)?;
    Ok(folder)
}
