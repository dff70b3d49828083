//! One token per audience, fetched once for everybody, renewed early.

use crate::clock::Clock;
use crate::error::Error;
use crate::renewal;
use crate::skew::ClockSkew;
use crate::token::{Token, TokenProvider};
use eventhubs_protocol::Timestamp;
use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

/// Audiences a cache remembers; the token that ends first makes room for another.
pub const MAX_AUDIENCES: usize = 256;
/// How long a provider has for one token, unless told otherwise.
pub const DEFAULT_FETCH_TIMEOUT: Duration = Duration::from_secs(30);

/// Stands before a [`TokenProvider`] and keeps its tokens.
///
/// * One fetch per audience at a time. Who comes meanwhile waits for it or, while the old token
///   still serves, gets that one at once.
/// * A token is renewed when it is asked for after the moment [`renewal::after`] names. A renewal
///   that fails leaves the old token in service until it ends.
/// * A failure is handed out again for as long as [`renewal::back_off`] says, and while a token
///   serves, [`renewal::back_off_serving`] says when the next renewal is due: a provider in trouble is
///   not stormed. The pause grows with every failure in a row; a token ends the row.
/// * A provider that panics or hangs costs its caller an error and nobody anything else. (One that
///   blocks its thread cannot be helped.)
/// * Dropping a future that fetches passes the fetch on to the next one that waits.
///
/// # Examples
///
/// ```
/// use eventhubs_auth::{SasKey, SasTokenProvider, TokenCache};
/// use std::sync::Arc;
///
/// # async fn example() -> Result<(), eventhubs_auth::Error> {
/// let provider = SasTokenProvider::new(SasKey::new("listen", "c2VjcmV0")?);
/// let tokens = TokenCache::new(Arc::new(provider));
/// let token = tokens.token("amqps://ns.servicebus.windows.net/hub").await?;
/// # Ok(())
/// # }
/// ```
pub struct TokenCache {
    provider: Arc<dyn TokenProvider>,
    clock: Clock,
    fetch_timeout: Duration,
    slots: Mutex<HashMap<Box<str>, Arc<Slot>>>,
}

impl TokenCache {
    /// A cache before a provider.
    #[must_use]
    pub fn new(provider: Arc<dyn TokenProvider>) -> Self {
        Self {
            provider,
            clock: Clock::system(),
            fetch_timeout: DEFAULT_FETCH_TIMEOUT,
            slots: Mutex::default(),
        }
    }

    /// Reads another wall clock than the machine's.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Changes how long the provider has for one token. Default [`DEFAULT_FETCH_TIMEOUT`].
    #[must_use]
    pub const fn with_fetch_timeout(mut self, fetch_timeout: Duration) -> Self {
        self.fetch_timeout = fetch_timeout;
        self
    }

    /// A token for an audience that has not ended.
    ///
    /// Cancel safe: dropping the future passes the fetch on to the next caller.
    ///
    /// # Errors
    ///
    /// The provider's own error, [`Error::TimedOut`], [`Error::Panicked`] or
    /// [`Error::ExpiredOnArrival`], also for a while after it happened; within [`Error::Lapsed`] when
    /// there was a token that has ended since. Never while an earlier token still serves.
    pub async fn token(&self, audience: &str) -> Result<Token, Error> {
        let slot = self.slot(audience);
        let ticket = match slot.look(&self.clock) {
            View::Fresh(token) => return Ok(token),
            View::Failed(error) => return Err(error),
            View::Due(token) => match slot.ticket.try_acquire() {
                Ok(ticket) => ticket,
                Err(_) => return Ok(token),
            },
            View::Nothing => slot.ticket.acquire().await.expect("the ticket is never closed"),
        };
        // Whoever held the ticket before has most likely fetched what is needed here.
        match slot.look(&self.clock) {
            View::Fresh(token) => return Ok(token),
            View::Failed(error) => return Err(error),
            View::Due(_) | View::Nothing => {}
        }
        let fetched = self.fetch(audience).await;
        let outcome = slot.settle(audience, fetched, &self.clock);
        drop(ticket);
        outcome
    }

    /// How long until the token of an audience wants to be renewed: call [`TokenCache::token`]
    /// then and hand the result to the service. `None` when no token is held, or when its provider
    /// has no other.
    #[must_use]
    pub fn renewal_due_in(&self, audience: &str) -> Option<Duration> {
        let slot = self.known_slot(audience)?;
        let renew_at = slot.state().renewal_due()?;
        Some(renew_at.saturating_duration_since(Instant::now()))
    }

    /// How long until the provider is asked for this audience again after it failed: before that,
    /// [`TokenCache::token`] hands out the same failure. `None` when it did not fail last, or may be
    /// asked now.
    #[must_use]
    pub fn retry_due_in(&self, audience: &str) -> Option<Duration> {
        let slot = self.known_slot(audience)?;
        let until = slot.state().failed.as_ref()?.until;
        Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// Whether the service's refusal of a token, `text`, means that this machine's clock is wrong.
    #[must_use]
    pub fn clock_skew(&self, token: &Token, text: &str) -> Option<ClockSkew> {
        ClockSkew::suspect(text, token.expires(), self.clock.now())
    }

    /// Forgets a token the service refused, so that the next call fetches another one. Does nothing
    /// when another token has taken its place already: any number of callers that were refused with
    /// the same token cost one fetch.
    pub fn invalidate(&self, audience: &str, refused: &Token) {
        let Some(slot) = self.known_slot(audience) else {
            return;
        };
        let mut state = slot.state();
        if state.held.as_ref().is_some_and(|held| held.token.is(refused)) {
            state.held = None;
        }
    }

    async fn fetch(&self, audience: &str) -> Result<Token, Error> {
        let asked = contained(async { self.provider.token(audience).await });
        let token = match timeout(self.fetch_timeout, asked).await {
            Ok(fetched) => fetched?,
            Err(_) => {
                return Err(Error::TimedOut { within: self.fetch_timeout });
            }
        };
        if token.expires() <= self.clock.now() {
            return Err(Error::ExpiredOnArrival { at: token.expires() });
        }
        Ok(token)
    }

    fn known_slot(&self, audience: &str) -> Option<Arc<Slot>> {
        self.slots().get(audience).map(Arc::clone)
    }

    fn slot(&self, audience: &str) -> Arc<Slot> {
        let mut slots = self.slots();
        if let Some(slot) = slots.get(audience) {
            return Arc::clone(slot);
        }
        if slots.len() >= MAX_AUDIENCES {
            let first =
                slots.iter().min_by_key(|(_, slot)| slot.ends()).map(|(key, _)| key.clone());
            if let Some(first) = first {
                slots.remove(&first);
            }
        }
        let slot = Arc::new(Slot::default());
        slots.insert(audience.into(), Arc::clone(&slot));
        slot
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache")
            .field("provider", &self.provider)
            .field("audiences", &self.slots().len())
            .finish_non_exhaustive()
    }
}

/// What is known of one audience.
struct Slot {
    /// Held by whoever fetches. Not a lock: the state stays readable meanwhile.
    ticket: Semaphore,
    state: Mutex<State>,
}

impl Default for Slot {
    fn default() -> Self {
        Self { ticket: Semaphore::new(1), state: Mutex::default() }
    }
}

#[derive(Default)]
struct State {
    /// The last token; it stays when it has ended, until there is another.
    held: Option<Held>,
    /// The last failure, unless a token came after it.
    failed: Option<Failure>,
}

struct Held {
    token: Token,
    ends: Instant,
    renew_at: Option<Instant>,
}

struct Failure {
    error: Error,
    /// Failures in a row, this one included.
    row: u32,
    /// The provider is left alone until then.
    until: Instant,
}

impl State {
    /// The token, unless it has ended. A machine that slept has a monotonic clock that stood still:
    /// hence the wall clock as well.
    fn serving(&self, now: Instant, wall: Timestamp) -> Option<&Held> {
        self.held.as_ref().filter(|held| now < held.ends && wall < held.token.expires())
    }

    /// When the token wants to be renewed, if it has to be and can be.
    fn renewal_due(&self) -> Option<Instant> {
        let renew_at = self.held.as_ref()?.renew_at?;
        Some(self.failed.as_ref().map_or(renew_at, |failure| failure.until.max(renew_at)))
    }

    /// What somebody gets who has no token.
    fn refusal(&self, error: &Error) -> Error {
        match (&self.held, error) {
            // This one says itself when the token ended.
            (None, _) | (_, Error::Expired { .. }) => error.clone(),
            (Some(ended), _) => {
                Error::Lapsed { at: ended.token.expires(), source: Box::new(error.clone()) }
            }
        }
    }
}

/// What a caller finds.
enum View {
    /// A token that serves.
    Fresh(Token),
    /// A token that serves, and should be renewed.
    Due(Token),
    /// No token, and a failure too recent to try again.
    Failed(Error),
    /// No token.
    Nothing,
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends(&self) -> Option<Instant> {
        self.state().held.as_ref().map(|held| held.ends)
    }

    fn look(&self, clock: &Clock) -> View {
        let now = Instant::now();
        let state = self.state();
        match (state.serving(now, clock.now()), &state.failed) {
            (Some(held), _) if state.renewal_due().is_some_and(|at| now >= at) => {
                View::Due(held.token.clone())
            }
            (Some(held), _) => View::Fresh(held.token.clone()),
            (None, Some(failure)) if now < failure.until => {
                View::Failed(state.refusal(&failure.error))
            }
            (None, _) => View::Nothing,
        }
    }

    /// Takes in what a fetch brought; the answer is what its caller gets.
    fn settle(
        &self,
        audience: &str,
        fetched: Result<Token, Error>,
        clock: &Clock,
    ) -> Result<Token, Error> {
        let now = Instant::now();
        let wall = clock.now();
        let mut state = self.state();
        let error = match fetched {
            Ok(token) => {
                let life = token.expires().saturating_since(wall);
                let due = token.is_renewable().then(|| now + renewal::after(life, spread()));
                state.held = Some(Held { token: token.clone(), ends: now + life, renew_at: due });
                state.failed = None;
                tracing::debug!(audience, life = ?life, "token fetched");
                return Ok(token);
            }
            Err(error) => error,
        };
        let row = state.failed.as_ref().map_or(0, |failure| failure.row).saturating_add(1);
        let served = state.serving(now, wall).map(|held| (held.token.clone(), held.ends - now));
        let pause = match &served {
            Some((_, left)) => renewal::back_off_serving(row, *left, spread()),
            None => renewal::back_off(row, spread()),
        };
        tracing::warn!(audience, %error, row, ?pause, "no token from the provider");
        state.failed = Some(Failure { error: error.clone(), row, until: now + pause });
        match served {
            Some((token, _)) => Ok(token),
            None => Err(state.refusal(&error)),
        }
    }
}

/// Runs a provider, which is somebody else's code: its panic ends its fetch, and not the task that
/// asked, which may be the one that keeps a connection.
async fn contained(asked: impl Future<Output = Result<Token, Error>>) -> Result<Token, Error> {
    let mut asked = pin!(asked);
    poll_fn(|context| {
        // Nothing of the future is used after a panic but its destructor.
        let polled = catch_unwind(AssertUnwindSafe(|| asked.as_mut().poll(context)));
        polled.unwrap_or(Poll::Ready(Err(Error::Panicked)))
    })
    .await
}

/// A different number for every fetch of every process, from the seed of the standard hasher.
fn spread() -> u8 {
    (RandomState::new().hash_one(0_u8) & 0xFF) as u8
}
