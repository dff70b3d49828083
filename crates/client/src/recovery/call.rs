//! A call with its retries: the shell around [`Attempts`].

use std::future::Future;
use std::time::Instant;

use eventhubs_protocol::condition::{Meaning, Recovery};

use super::attempts::{Attempts, Next, Reason, spread};
use super::budget::Price;
use super::clock;
use super::owner::Anew;
use crate::error::{Error, ErrorKind, Operation};
use crate::hub::Shared;
use crate::retry::RetryOptions;

/// A call that may be tried again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) operation: Operation,
    pub(crate) entity: &'a str,
    pub(crate) retry: &'a RetryOptions,
    /// Whether it waits, instead of giving up, when there is no token left for a retry: streams do.
    pub(crate) patient: bool,
}

/// One try of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Try {
    /// What the failure before says to rebuild first; nothing on the first try.
    pub(crate) recovery: Recovery,
    /// Whether the token is to be fetched anew.
    pub(crate) fresh_token: bool,
    /// Whether the try before was not answered at all.
    pub(crate) unanswered: bool,
    /// When the try before began, which is what failed.
    pub(crate) since: Option<Instant>,
    /// When the whole call has to be over.
    pub(crate) deadline: Instant,
}

impl Try {
    /// The only one, which may take until `deadline`.
    pub(crate) fn only(deadline: Instant) -> Self {
        let recovery = Recovery::None;
        let (fresh_token, unanswered) = (false, false);
        Self { recovery, fresh_token, unanswered, since: None, deadline }
    }

    /// What this try needs that the one before did not have.
    pub(crate) fn anew(self) -> Anew {
        let Self { since, recovery, fresh_token, unanswered, .. } = self;
        Anew { since, recovery, fresh_token, unanswered }
    }
}

/// Calls `attempt` until it succeeds or there is no other try, which the error then tells.
///
/// # Cancel safety
///
/// As safe as the future of `attempt`.
pub(crate) async fn retrying<T, F>(
    shared: &Shared,
    call: Call<'_>,
    mut attempt: impl FnMut(Try) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut tries = Tries::since(shared, call, clock::now());
    let mut this = tries.first().await?;
    loop {
        let error = match clock::by(this.deadline, attempt(this)).await {
            Some(Ok(value)) => {
                shared.pacing().succeeded();
                return Ok(value);
            }
            Some(Err(error)) => error,
            None => tries.out_of_time(),
        };
        this = tries.after(error).await?;
    }
}

/// The tries of one call, for those who make them by themselves.
#[derive(Debug)]
pub(crate) struct Tries<'a> {
    shared: &'a Shared,
    call: Call<'a>,
    attempts: Attempts,
    /// When the latest try began.
    began: Instant,
    /// What the last try failed with.
    last: Option<Error>,
}

impl<'a> Tries<'a> {
    /// Of a call that began at `started`.
    pub(crate) fn since(shared: &'a Shared, call: Call<'a>, started: Instant) -> Self {
        Self { shared, call, attempts: Attempts::new(started), began: started, last: None }
    }

    /// Of a call that goes on after `attempts`, the last of which began at `began`.
    pub(crate) fn going_on(
        shared: &'a Shared,
        call: Call<'a>,
        attempts: Attempts,
        began: Instant,
    ) -> Self {
        Self { shared, call, attempts, began, last: None }
    }

    /// What was tried, for those who go on later.
    pub(crate) fn into_attempts(self) -> Attempts {
        self.attempts
    }

    /// Waits until a first try may begin, which is at once unless the service has asked for a rest.
    ///
    /// # Errors
    ///
    /// When the rest is longer than the call may take, or the hub is closed meanwhile.
    pub(crate) async fn first(&mut self) -> Result<Try, Error> {
        if !self.shared.pacing().is_calm() {
            self.rested().await?;
        }
        Ok(self.next(Recovery::None, false))
    }

    /// A try failed: waits until another may begin.
    ///
    /// # Errors
    ///
    /// When there is none: the last error, with what became of the call.
    pub(crate) async fn after(&mut self, error: Error) -> Result<Try, Error> {
        let (shared, now, verdict) = (self.shared, clock::now(), error.verdict());
        if shared.is_closed() {
            let unknown = error.may_have_been_sent();
            let closed = Error::closed(self.call.operation, self.call.entity);
            self.attempts.failed(&error, self.call.retry, now, 0);
            return Err(self.give_up(closed.with_unknown(unknown), Reason::NotRetryable));
        }
        let is_busy = verdict.meaning == Meaning::ServerBusy;
        // Whoever hears of it first pays for all that it strikes.
        let pays = match is_busy {
            true => shared.pacing().rest(now, error.stated_wait()),
            false => error.is_first_to_pay(),
        };
        let next = self.attempts.failed(&error, self.call.retry, now, clock::random());
        let (at, recovery, fresh_token) = match next {
            Next::Again { at, recovery, fresh_token } => (at, recovery, fresh_token),
            Next::GiveUp(reason) => return Err(self.give_up(error, reason)),
        };
        let price = match verdict.meaning {
            Meaning::Timeout | Meaning::NoCredit => Price::AfterTimeout,
            _ => Price::Retry,
        };
        let at = match !pays || shared.pacing().withdraw(price) {
            true => at,
            false if self.is_patient() => at.max(now + self.call.retry.delay_max),
            false => return Err(self.give_up(error, Reason::Budget)),
        };
        self.last = Some(error);
        if is_busy {
            shared.counters().busy_waits.add(1);
        }
        self.wait(at).await?;
        self.rested().await?;
        shared.counters().retries.add(1);
        Ok(self.next(recovery, fresh_token))
    }

    /// Whether it waits when there is no token left for a retry: streams do, and whoever wants tries
    /// without end.
    fn is_patient(&self) -> bool {
        self.call.patient || self.call.retry.retries_max.is_none()
    }

    fn next(&mut self, recovery: Recovery, fresh_token: bool) -> Try {
        let since = (self.attempts.failures() > 0).then_some(self.began);
        let unanswered = self.last.as_ref().is_some_and(|last| last.kind() == ErrorKind::Timeout);
        self.began = clock::now();
        Try { recovery, fresh_token, unanswered, since, deadline: self.deadline() }
    }

    /// When the whole call has to be over.
    pub(crate) fn deadline(&self) -> Instant {
        self.attempts.deadline(self.call.retry)
    }

    /// A try that was given up because the time for the whole call was over.
    pub(crate) fn out_of_time(&self) -> Error {
        let Call { operation, entity, retry, .. } = self.call;
        let detail = format!("it took longer than the {:?} that the call may take", retry.total);
        let error = Error::new(ErrorKind::Timeout, operation, entity, detail);
        match &self.last {
            Some(last) => error.with_source(last.clone()),
            None => error,
        }
    }

    /// Waits until the service may be asked again.
    async fn rested(&mut self) -> Result<(), Error> {
        while let Some(until) = self.shared.pacing().closed_until(clock::now()) {
            let rest = until.saturating_duration_since(clock::now());
            let at = clock::now() + spread(rest, clock::random());
            if at >= self.deadline() {
                let detail = format!("the service asked for a rest, of which {rest:?} are left");
                let Call { operation, entity, .. } = self.call;
                let busy = Error::new(ErrorKind::ServerBusy, operation, entity, detail);
                let error = self.last.take().unwrap_or(busy);
                return Err(self.give_up(error, Reason::Deadline));
            }
            self.shared.counters().busy_waits.add(1);
            self.wait(at).await?;
        }
        Ok(())
    }

    /// Waits until `at`, unless the hub is closed first.
    async fn wait(&mut self, at: Instant) -> Result<(), Error> {
        if at <= clock::now() {
            return Ok(());
        }
        tokio::select! {
            () = clock::wait_until(at) => Ok(()),
            () = self.shared.closing() => {
                let error = Error::closed(self.call.operation, self.call.entity);
                Err(self.give_up(error, Reason::NotRetryable))
            }
        }
    }

    fn give_up(&self, error: Error, reason: Reason) -> Error {
        error.gave_up(&self.attempts.ended(reason, clock::now()))
    }
}
