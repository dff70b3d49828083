//! Runs runners beside each other, and turns their lines into ours.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::defects::Defects;
use super::job::{Ground, Job, Said};
use super::options::Options;
use super::programs::Programs;
use crate::failure::Failure;
use crate::tally::Tally;
use crate::terminal;
use crate::workspace::Workspace;

/// Runners at a time: they mostly wait, and two share two cores without getting in each other's way.
const AT_A_TIME: usize = 2;
/// No case takes this long, cut off or not: a runner that says nothing any more is stuck.
const LONGEST_SILENCE: Duration = Duration::from_secs(180);
/// Lines of its errors that are shown of a runner that failed.
const KEPT_ERRORS: usize = 20;

/// What the jobs have in common.
pub(crate) struct Setting<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) programs: &'a Programs,
    pub(crate) emulator: &'a Path,
    /// For files that live as long as the run.
    pub(crate) folder: &'a Path,
    pub(crate) options: &'a Options,
}

/// What a runner wrote, or that its output is at its end.
enum Heard {
    Line(String),
    Error(String),
    End,
}

struct Running {
    job: Job,
    child: Child,
    counted: Tally,
    said: Option<Tally>,
    errors: VecDeque<String>,
    _ground: Ground,
}

/// Runs all jobs and counts their cases. Children are started by the calling thread only: some end
/// when the thread that started them does.
pub(crate) fn run(
    setting: &Setting<'_>,
    jobs: Vec<Job>,
    defects: &mut Defects,
) -> Result<Tally, Failure> {
    let (send, heard) = mpsc::channel();
    let mut waiting: VecDeque<(usize, Job)> = jobs.into_iter().enumerate().collect();
    let mut running: HashMap<usize, Running> = HashMap::new();
    let mut total = Tally::default();
    loop {
        while running.len() < AT_A_TIME {
            let Some((number, job)) = waiting.pop_front() else { break };
            running.insert(number, start(setting, job, defects, number, &send)?);
        }
        if running.is_empty() {
            return Ok(total);
        }
        let Ok((number, news)) = heard.recv_timeout(LONGEST_SILENCE) else {
            for (_, mut stuck) in running.drain() {
                let _ = stuck.child.kill();
                terminal::line(format_args!(
                    "FAIL {}: it says nothing any more",
                    stuck.job.label()
                ));
                total.failed += 1;
            }
            continue;
        };
        match news {
            Heard::Line(line) => {
                if let Some(running) = running.get_mut(&number) {
                    note(running, &line, defects);
                }
            }
            Heard::Error(line) => {
                if let Some(Running { errors, .. }) = running.get_mut(&number) {
                    errors.push_back(line);
                    errors.drain(..errors.len().saturating_sub(KEPT_ERRORS));
                }
            }
            Heard::End => {
                if let Some(ended) = running.remove(&number) {
                    total.add(finish(ended)?);
                }
            }
        }
    }
}

fn start(
    setting: &Setting<'_>,
    job: Job,
    defects: &Defects,
    number: usize,
    send: &mpsc::Sender<(usize, Heard)>,
) -> Result<Running, Failure> {
    let Setting { workspace, programs, emulator, folder, options } = setting;
    let (told, ground) = job.assignment(emulator, folder, options, defects)?;
    let mut command = programs.runner(workspace, job.client)?;
    command.arg(told.to_string());
    if let Some(authority) = &ground.authority {
        // Python is told the file, these look for it in the environment.
        command.env("NODE_EXTRA_CA_CERTS", authority).env("SSL_CERT_FILE", authority);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| Failure::io(job.label(), &error))?;
    listen(child.stdout.take(), number, send, Heard::Line, Some(Heard::End));
    listen(child.stderr.take(), number, send, Heard::Error, None);
    let (counted, errors) = (Tally::default(), VecDeque::new());
    Ok(Running { job, child, counted, said: None, errors, _ground: ground })
}

/// Passes on what a stream brings, on a thread of its own.
fn listen(
    stream: Option<impl Read + Send + 'static>,
    number: usize,
    send: &mpsc::Sender<(usize, Heard)>,
    wrap: fn(String) -> Heard,
    last: Option<Heard>,
) {
    let Some(stream) = stream else { return };
    let send = send.clone();
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            let _ = send.send((number, wrap(line)));
        }
        if let Some(last) = last {
            let _ = send.send((number, last));
        }
    });
}

fn note(running: &mut Running, line: &str, defects: &mut Defects) {
    let label = running.job.label();
    match Said::read(line) {
        Said::Passed(text) => {
            running.counted.passed += 1;
            terminal::line(format_args!("ok {label} {text}"));
        }
        Said::Failed(text) => {
            running.counted.failed += 1;
            terminal::line(format_args!("FAIL {label} {text}"));
        }
        Said::Defect(text) => defects.note(running.job.client, running.job.transport, text),
        Said::Counted(tally) => running.said = Some(tally),
        Said::Other(text) => terminal::line(format_args!("{label}: {text}")),
    }
}

/// What a runner that has ended counted. One that did not get to its last line has failed.
fn finish(mut ended: Running) -> Result<Tally, Failure> {
    let label = ended.job.label();
    let status = ended.child.wait().map_err(|error| Failure::io(&label, &error))?;
    let counted = verdict(ended.counted, ended.said);
    if counted != ended.counted {
        terminal::line(format_args!("FAIL {label}: the runner ended with {status} before its end"));
    }
    if counted.failed > 0 {
        for line in &ended.errors {
            terminal::line(format_args!("{label}: {line}"));
        }
    }
    Ok(counted)
}

/// What a runner's lines and its last line come to. Cases that it did not get to are one failure.
fn verdict(counted: Tally, said: Option<Tally>) -> Tally {
    match said == Some(counted) {
        true => counted,
        false => Tally { failed: counted.failed + 1, ..counted },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_that_does_not_get_to_its_end_has_failed() {
        let counted = Tally { passed: 3, failed: 0 };
        let one_failure = Tally { passed: 3, failed: 1 };
        assert_eq!(verdict(counted, Some(counted)), counted);
        assert_eq!(verdict(counted, None), one_failure, "it was killed");
        assert_eq!(verdict(counted, Some(Tally { passed: 4, failed: 0 })), one_failure);
    }
}
