//! Runs the selected cases, a few at a time, and says what became of each.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::FutureExt;

use crate::assignment::{Assignment, Defect, Mode};
use crate::world::World;
use crate::{Failure, cases, cross};

/// A case which has not come back by then has failed; the others still run.
const CASE: Duration = Duration::from_secs(60);
/// A case that meets a known defect of the client is cut off sooner.
const DEFECT: Duration = Duration::from_secs(12);
/// Cases mostly wait, each on a hub of its own.
const AT_A_TIME: usize = 8;

pub(crate) type Running = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

type Body = Arc<dyn Fn(Arc<World>) -> Running + Send + Sync>;

/// One case: what it does, and what must work after a known defect was met.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    run: Body,
    next: Option<Body>,
}

impl Case {
    pub(crate) fn new(
        name: impl Into<String>,
        run: impl Fn(Arc<World>) -> Running + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), run: Arc::new(run), next: None }
    }

    pub(crate) fn with_next(
        mut self,
        next: impl Fn(Arc<World>) -> Running + Send + Sync + 'static,
    ) -> Self {
        self.next = Some(Arc::new(next));
        self
    }
}

/// Why a case did not pass.
enum Reason {
    CutOff(Duration),
    Said(String),
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::CutOff(limit) => write!(f, "no result within {} s", limit.as_secs()),
            Self::Said(text) => f.write_str(&text.split_whitespace().collect::<Vec<_>>().join(" ")),
        }
    }
}

async fn limited(running: Running, limit: Duration) -> Result<(), Reason> {
    match tokio::time::timeout(limit, AssertUnwindSafe(running).catch_unwind()).await {
        Err(_) => Err(Reason::CutOff(limit)),
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(failure))) => Err(Reason::Said(format!("{failure:?}"))),
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(Reason::Said(text.unwrap_or_else(|| "a panic without a message".to_owned())))
        }
    }
}

/// Runs a case in which the client has a known defect: only that defect is forgiven.
async fn tolerant(case: &Case, world: &Arc<World>, defect: &Defect) -> Result<(), Reason> {
    let met = match limited((case.run)(Arc::clone(world)), DEFECT).await {
        Ok(()) => "not met".to_owned(),
        Err(reason) => {
            let known = match &reason {
                Reason::CutOff(_) => defect.hangs,
                Reason::Said(text) => defect.errors.iter().any(|known| text.contains(known)),
            };
            if !known {
                return Err(reason);
            }
            reason.to_string()
        }
    };
    let Some(next) = &case.next else {
        return Err(Reason::Said("a known defect needs an operation that works next".to_owned()));
    };
    limited(next(Arc::clone(world)), CASE).await?;
    println!("defect {}: {met}", case.name);
    Ok(())
}

/// Runs one case and prints its line; true when it passed.
async fn passes(case: &Case, world: &Arc<World>, defect: Option<&Defect>) -> bool {
    let began = Instant::now();
    let outcome = match defect {
        None => limited((case.run)(Arc::clone(world)), CASE).await,
        Some(defect) => tolerant(case, world, defect).await,
    };
    match outcome {
        Ok(()) => println!("ok {} ({:.1} s)", case.name, began.elapsed().as_secs_f32()),
        Err(ref reason) => println!("FAIL {}: {reason}", case.name),
    }
    outcome.is_ok()
}

/// Does what the assignment says; true when everything passed.
pub(crate) async fn run(assignment: Assignment) -> bool {
    let all = match assignment.mode {
        Mode::Cases => Ok(cases::all()),
        Mode::Write | Mode::Read => cross::cases(&assignment),
    };
    let all = match all {
        Ok(all) => all,
        Err(error) => {
            println!("FAIL start: {error}\n0 passed, 1 failed");
            return false;
        }
    };
    let wanted = |case: &Case| assignment.only.as_ref().is_none_or(|only| case.name.contains(only));
    let numbered = all.into_iter().enumerate().filter(|(_, case)| wanted(case));
    let queue: Arc<Mutex<VecDeque<_>>> = Arc::new(Mutex::new(numbered.collect()));
    let assignment = Arc::new(assignment);
    let workers = (0..AT_A_TIME).map(|_| {
        let (queue, assignment) = (Arc::clone(&queue), Arc::clone(&assignment));
        tokio::spawn(async move {
            let (mut passed, mut failed) = (0, 0);
            loop {
                let next = queue.lock().unwrap().pop_front();
                let Some((index, case)) = next else { return (passed, failed) };
                let world = World::new(Arc::clone(&assignment), format!("hub{index}"));
                let defect = assignment.defects.iter().find(|defect| defect.case == case.name);
                match passes(&case, &Arc::new(world), defect).await {
                    true => passed += 1,
                    false => failed += 1,
                }
            }
        })
    });
    let (mut passed, mut failed) = (0, 0);
    for worker in workers.collect::<Vec<_>>() {
        let (its_passed, its_failed) = worker.await.unwrap_or((0, 1));
        passed += its_passed;
        failed += its_failed;
    }
    println!("{passed} passed, {failed} failed");
    failed == 0
}
