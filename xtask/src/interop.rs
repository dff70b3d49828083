//! `cargo xtask interop`: official clients, unmodified, against our emulator.
//!
//! Builds the emulator, makes the runners of the clients ready (see `interop/README.md`), and runs
//! each of them on each transport, two beside each other, every one with emulators of its own. Then
//! events that each client wrote are read by each. At the end a browser looks at the live view, and
//! our engine meets other implementations of AMQP.

mod defects;
mod emulator;
mod job;
mod matrix;
mod options;
mod programs;
mod schedule;

use std::rc::Rc;

use self::defects::Defects;
use self::job::{Cross, Job, Task};
use self::matrix::{Client, Transport};
use self::options::Options;
use self::programs::Programs;
use self::schedule::Setting;
use crate::failure::Failure;
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{page, strangers, terminal, wire_record};

/// A part of a full run that is not about official clients.
type Part = (&'static str, fn(&Workspace) -> Result<Tally, Failure>);

const PARTS: &[Part] =
    &[("page", page::run), ("wire", wire_record::run), ("strangers", strangers::run)];
const EVENTS: &str = "interop/cross-events.json";

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<Tally, Failure> {
    let options = Options::parse(arguments)?;
    let pairs = options.pairs();
    let emulator = workspace.program("eventhubs-emulator")?;
    let mut defects = Defects::read(workspace)?;
    let programs = Programs::prepare(workspace, &pairs)?;
    let folder = workspace.path("target/interop");
    std::fs::create_dir_all(&folder).map_err(|error| Failure::io(folder.display(), &error))?;
    let setting = Setting {
        workspace,
        programs: &programs,
        emulator: &emulator,
        folder: &folder,
        options: &options,
    };
    let mut tally = schedule::run(&setting, jobs(&pairs, || Task::Cases), &mut defects)?;
    tally.add(exchange(&setting, &pairs, &mut defects)?);
    if options.is_everything() {
        for (name, part) in PARTS {
            match part(workspace) {
                Ok(found) => tally.add(found),
                Err(failure) => {
                    terminal::line(format_args!("FAIL {name}: {failure}"));
                    tally.failed += 1;
                }
            }
        }
        for what in defects.unused() {
            terminal::line(format_args!("FAIL known-defects: no case is about this one: {what}"));
            tally.failed += 1;
        }
    }
    defects.print();
    terminal::line(tally);
    match tally {
        Tally { failed: 0, passed: 1.. } => Ok(tally),
        _ => Err(Failure::new(tally.to_string())),
    }
}

/// Every client writes, then every client reads what each has written.
fn exchange(
    setting: &Setting<'_>,
    pairs: &[(Client, Transport)],
    defects: &mut Defects,
) -> Result<Tally, Failure> {
    let is_common = |pair: &&(Client, Transport)| Transport::COMMON.contains(&pair.1);
    let common: Vec<_> = pairs.iter().filter(is_common).copied().collect();
    let is_wanted = |client: &(Client, Transport)| match &setting.options.only {
        Some(only) => job::reading(client.0).contains(only.as_str()),
        None => true,
    };
    let mut tally = Tally::default();
    if !common.iter().any(is_wanted) {
        return Ok(tally);
    }
    let events = serde_json::from_str(&setting.workspace.read(EVENTS)?)
        .map_err(|error| Failure::new(format!("{EVENTS}: {error}")))?;
    let cross = Rc::new(Cross::start(setting.emulator, setting.folder, &common, events)?);
    for step in [
        jobs(&common, || Task::Write(Rc::clone(&cross))),
        jobs(&common, || Task::Read(Rc::clone(&cross))),
    ] {
        tally.add(schedule::run(setting, step, defects)?);
    }
    Ok(tally)
}

fn jobs(pairs: &[(Client, Transport)], task: impl Fn() -> Task) -> Vec<Job> {
    pairs.iter().map(|&(client, transport)| Job { client, transport, task: task() }).collect()
}
