//! The suite that any [`Leaser`] and [`Checkpointer`] must pass.
//!
//! Every rule of the two contracts that can be seen from outside is a case with a name. What a case
//! sees that breaks its rule is told in words in the [`Report`].
//!
//! # Examples
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use eventhubs_eph::conformance::{self, Subject};
//! use eventhubs_eph::{Checkpointer, Leaser, MemoryStore};
//!
//! struct Mine(MemoryStore);
//!
//! #[async_trait::async_trait]
//! impl Subject for Mine {
//!     fn leaser(&self) -> Arc<dyn Leaser> {
//!         Arc::new(self.0.clone())
//!     }
//!
//!     fn checkpointer(&self) -> Arc<dyn Checkpointer> {
//!         Arc::new(self.0.clone())
//!     }
//!
//!     async fn pass(&self, span: Duration) {
//!         self.0.advance(span);
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! conformance::leaser(async || Mine(MemoryStore::new())).await.assert();
//! conformance::checkpointer(async || Mine(MemoryStore::new())).await.assert();
//! # });
//! ```

mod checkpoints;
mod leases;
mod ownership;
mod stand;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::checkpointer::Checkpointer;
use crate::error::StoreError;
use crate::leaser::Leaser;

use stand::Stand;

/// How long a case may take, by the clock of the runtime, before it counts as stuck.
pub const CASE_DEADLINE: Duration = Duration::from_secs(120);

/// A store to be judged. Each case gets one of its own, which does not exist yet.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The leaser: each call a handle of its own on the same store, as another host would have.
    fn leaser(&self) -> Arc<dyn Leaser>;

    /// The checkpointer: each call a handle of its own on the same store.
    fn checkpointer(&self) -> Arc<dyn Checkpointer>;

    /// Lets time pass by the clock of the store: moves it, makes records older, or waits.
    async fn pass(&self, span: Duration);
}

/// What came of one case.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::conformance::Outcome;
///
/// fn is_good(outcome: &Outcome) -> bool {
///     outcome.failure.is_none()
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Name of the case.
    pub case: &'static str,
    /// The rule that it proves.
    pub rule: &'static str,
    /// What broke the rule, if anything did.
    pub failure: Option<String>,
}

/// What came of all cases. Shows those that failed, one per line.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::conformance::Report;
///
/// fn failed(report: &Report) -> Vec<&str> {
///     report.failures().map(|outcome| outcome.case).collect()
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a report that nobody looks at proves nothing"]
pub struct Report {
    /// The cases, in the order they were run.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// The cases that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(|outcome| outcome.failure.is_some())
    }

    /// Whether every case passed.
    #[must_use]
    pub fn is_conforming(&self) -> bool {
        self.failures().next().is_none()
    }

    /// For tests.
    ///
    /// # Panics
    ///
    /// A case failed; the message names it, its rule and what was seen.
    pub fn assert(&self) {
        assert!(self.is_conforming(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.failures().count();
        write!(f, "{} of {} cases failed", failed, self.outcomes.len())?;
        for outcome in self.failures() {
            let failure = outcome.failure.as_deref().unwrap_or_default();
            write!(f, "\n  {}: {failure}\n    rule: {}", outcome.case, outcome.rule)?;
        }
        Ok(())
    }
}

/// What a case saw that breaks its rule.
#[derive(Debug)]
struct Failure(String);

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self(format!("an error where none is due: {error}"))
    }
}

type Verdict = Result<(), Failure>;
type Run = for<'a> fn(&'a Stand) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

/// One rule, and how it is tried.
struct Case {
    name: &'static str,
    rule: &'static str,
    run: Run,
}

/// Cases out of functions, named as these are.
macro_rules! cases {
    ($($name:ident: $rule:literal,)+) => {
        pub(super) const CASES: &[super::Case] = &[$(super::Case {
            name: stringify!($name),
            rule: $rule,
            run: |stand| Box::pin($name(stand)),
        }),+];
    };
}

/// Ends a case when a condition does not hold.
macro_rules! check {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(super::Failure(format!($($text)+)));
        }
    };
}

use {cases, check};

/// Tries the contract of [`Leaser`] on stores that `make` makes.
///
/// # Cancel safety
///
/// Dropping it leaves the store of the case that was under way as it was.
pub async fn leaser<S: Subject + 'static>(make: impl AsyncFn() -> S) -> Report {
    let mut report = run(leases::CASES, &make).await;
    report.outcomes.extend(run(ownership::CASES, &make).await.outcomes);
    report
}

/// Tries the contract of [`Checkpointer`] on stores that `make` makes. The ownerships come from the
/// leaser beside it, which is trusted.
///
/// # Cancel safety
///
/// Dropping it leaves the store of the case that was under way as it was.
pub async fn checkpointer<S: Subject + 'static>(make: impl AsyncFn() -> S) -> Report {
    run(checkpoints::CASES, &make).await
}

async fn run<S: Subject + 'static>(cases: &[Case], make: &impl AsyncFn() -> S) -> Report {
    let mut outcomes = Vec::with_capacity(cases.len());
    for Case { name, rule, run } in cases {
        let stand = Stand::new(Arc::new(make().await));
        let failure = match tokio::time::timeout(CASE_DEADLINE, run(&stand)).await {
            Ok(Ok(())) => None,
            Ok(Err(Failure(text))) => Some(text),
            Err(_) => Some(format!("it did not end within {CASE_DEADLINE:?}")),
        };
        outcomes.push(Outcome { case: name, rule, failure });
    }
    Report { outcomes }
}
