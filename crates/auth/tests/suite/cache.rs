//! The token cache, on a clock that only the test moves.

use async_trait::async_trait;
use eventhubs_auth::cache::{DEFAULT_FETCH_TIMEOUT, MAX_AUDIENCES};
use eventhubs_auth::renewal::{self, FAILURE_KEPT, FAILURE_KEPT_MAX};
use eventhubs_auth::{Clock, Error, SasSignature, Token, TokenCache, TokenKind, TokenProvider};
use eventhubs_protocol::Timestamp;
use futures_util::FutureExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, advance};

const HOUR: Duration = Duration::from_secs(3600);
const AUDIENCE: &str = "amqps://h/hub";

/// Gives numbered tokens of a fixed life; waits for the gate, and fails, when told to.
#[derive(Debug)]
struct Provider {
    fetches: AtomicUsize,
    running: AtomicUsize,
    gate: Semaphore,
    failing: AtomicBool,
    life: Duration,
    clock: Clock,
}

#[derive(Debug, thiserror::Error)]
#[error("out of order")]
struct OutOfOrder;

#[async_trait]
impl TokenProvider for Provider {
    async fn token(&self, _audience: &str) -> Result<Token, Error> {
        let number = self.fetches.fetch_add(1, Ordering::SeqCst) + 1;
        let together = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        let running = Running(self);
        self.gate.acquire().await.expect("never closed").forget();
        drop(running);
        assert!(together <= 2, "one fetch per audience, and no test has more than two");
        if self.failing.load(Ordering::SeqCst) {
            return Err(Error::provider(OutOfOrder));
        }
        let expires = self.clock.now().saturating_add(self.life);
        Ok(Token::new(number.to_string().into(), TokenKind::Jwt, expires))
    }
}

struct Running<'a>(&'a Provider);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A wall clock that moves with the runtime's.
fn clock() -> Clock {
    let start = Instant::now();
    Clock::from_fn(move || {
        Timestamp::from_millis(1_700_000_000_000).saturating_add(start.elapsed())
    })
}

fn cache(life: Duration, permits: usize) -> (Arc<Provider>, Arc<TokenCache>) {
    let provider = Arc::new(Provider {
        fetches: AtomicUsize::new(0),
        running: AtomicUsize::new(0),
        gate: Semaphore::new(permits),
        failing: AtomicBool::new(false),
        life,
        clock: clock(),
    });
    let cache =
        TokenCache::new(Arc::<Provider>::clone(&provider)).with_clock(provider.clock.clone());
    (provider, Arc::new(cache))
}

async fn text(cache: &TokenCache) -> String {
    cache.token(AUDIENCE).await.expect("a token").secret().expose().to_owned()
}

#[tokio::test(start_paused = true)]
async fn one_fetch_serves_everybody() {
    let (provider, cache) = cache(HOUR, 0);
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let cache = Arc::clone(&cache);
            tokio::spawn(async move { text(&cache).await })
        })
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(provider.fetches.load(Ordering::SeqCst), 1);
    provider.gate.add_permits(1);
    for task in waiting {
        assert_eq!(task.await.expect("no panic"), "1");
    }
    assert_eq!(provider.fetches.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn each_audience_has_its_own_token() {
    let (provider, cache) = cache(HOUR, 10);
    cache.token("a").await.expect("a token");
    cache.token("b").await.expect("a token");
    cache.token("a").await.expect("a token");
    assert_eq!(provider.fetches.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_fetch_strands_nobody() {
    let (provider, cache) = cache(HOUR, 0);
    let first = {
        let cache = Arc::clone(&cache);
        tokio::spawn(async move { text(&cache).await })
    };
    tokio::task::yield_now().await;
    let second = {
        let cache = Arc::clone(&cache);
        tokio::spawn(async move { text(&cache).await })
    };
    tokio::task::yield_now().await;
    assert_eq!(provider.fetches.load(Ordering::SeqCst), 1);
    first.abort();
    assert!(first.await.expect_err("dropped").is_cancelled());
    provider.gate.add_permits(1);
    assert_eq!(second.await.expect("no panic"), "2");
    assert_eq!(text(&cache).await, "2");
}

#[tokio::test(start_paused = true)]
async fn polled_once_and_dropped_any_number_of_times() {
    let (provider, cache) = cache(HOUR, 0);
    for _ in 0..50 {
        assert!(cache.token(AUDIENCE).now_or_never().is_none());
    }
    provider.gate.add_permits(1);
    assert_eq!(text(&cache).await, "51");
}

#[tokio::test(start_paused = true)]
async fn renewed_after_half_its_life() {
    let (provider, cache) = cache(HOUR, 10);
    assert_eq!(cache.renewal_due_in(AUDIENCE), None);
    assert_eq!(text(&cache).await, "1");
    let due = cache.renewal_due_in(AUDIENCE).expect("renewable");
    // Half of it, less at most a twentieth of that.
    assert!(due <= HOUR / 2 && due >= HOUR / 2 - HOUR / 40, "{due:?}");
    advance(due - Duration::from_secs(1)).await;
    assert_eq!(text(&cache).await, "1");
    advance(Duration::from_secs(1)).await;
    assert_eq!(cache.renewal_due_in(AUDIENCE), Some(Duration::ZERO));
    assert_eq!(text(&cache).await, "2");
    assert_eq!(text(&cache).await, "2");
    assert_eq!(provider.fetches.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn during_a_renewal_the_old_token_serves() {
    let (provider, cache) = cache(HOUR, 1);
    assert_eq!(text(&cache).await, "1");
    advance(HOUR / 2).await;
    let renewal = {
        let cache = Arc::clone(&cache);
        tokio::spawn(async move { text(&cache).await })
    };
    tokio::task::yield_now().await;
    assert_eq!(provider.fetches.load(Ordering::SeqCst), 2);
    let meanwhile = cache.token(AUDIENCE).now_or_never().expect("at once").expect("a token");
    assert_eq!(meanwhile.secret().expose(), "1");
    provider.gate.add_permits(1);
    assert_eq!(renewal.await.expect("no panic"), "2");
}

#[tokio::test(start_paused = true)]
async fn a_failed_renewal_leaves_the_old_token_until_it_ends() {
    let (provider, cache) = cache(HOUR, 10_000);
    assert_eq!(text(&cache).await, "1");
    provider.failing.store(true, Ordering::SeqCst);
    let end = Instant::now() + HOUR;
    let mut pauses = Vec::new();
    let mut asked = 1;
    loop {
        let due = cache.renewal_due_in(AUDIENCE).expect("renewable");
        pauses.push(due);
        if Instant::now() + due >= end {
            break;
        }
        advance(due).await;
        assert_eq!(text(&cache).await, "1");
        asked += 1;
        assert_eq!(provider.fetches.load(Ordering::SeqCst), asked);
        assert_eq!(text(&cache).await, "1");
        assert_eq!(provider.fetches.load(Ordering::SeqCst), asked, "not asked again at once");
    }
    for (row, pause) in (1..6).zip(&pauses[1..]) {
        let most = renewal::back_off(row, 0);
        assert!((most / 2..=most).contains(pause), "{pause:?} after {row} failures");
    }
    assert!(pauses[1..].iter().all(|pause| (FAILURE_KEPT / 2..=FAILURE_KEPT_MAX).contains(pause)));
    assert!(pauses[pauses.len() - 2] <= FAILURE_KEPT, "the last tries are soon before the end");
    assert!(pauses.len() < 100, "no storm: {}", pauses.len());

    advance(end - Instant::now() + FAILURE_KEPT_MAX).await;
    let error = cache.token(AUDIENCE).await.expect_err("the token ended");
    let ended = provider.clock.now().as_millis() - 60_000;
    assert!(
        matches!(&error, Error::Lapsed { at, .. } if (at.as_millis() - ended).abs() < 100),
        "{error}"
    );
    assert!(error.is_retryable(), "what is wrong is the provider's to say");
    assert!(error.to_string().contains("out of order"), "{error}");
    let again = cache.token(AUDIENCE).await.expect_err("kept");
    assert_eq!(again.to_string(), error.to_string());

    provider.failing.store(false, Ordering::SeqCst);
    advance(FAILURE_KEPT_MAX).await;
    cache.token(AUDIENCE).await.expect("it came back");
    let due = cache.renewal_due_in(AUDIENCE).expect("renewable");
    assert!(due > HOUR / 3, "the failures are forgotten: {due:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_kept_longer_with_every_one_in_a_row() {
    let (provider, cache) = cache(HOUR, 100);
    provider.failing.store(true, Ordering::SeqCst);
    for row in 1..=8 {
        let asked = usize::try_from(row).expect("few");
        for _ in 0..10 {
            let error = cache.token(AUDIENCE).await.expect_err("failing");
            assert!(error.is_retryable());
            let source = std::error::Error::source(&error).expect("the provider's own");
            assert_eq!(source.to_string(), "out of order");
        }
        assert_eq!(provider.fetches.load(Ordering::SeqCst), asked, "once for ten callers");
        let kept = cache.retry_due_in(AUDIENCE).expect("it failed");
        let most = renewal::back_off(row, 0);
        assert!((most / 2..=most).contains(&kept), "{kept:?} after {row} failures");
        advance(kept - Duration::from_millis(1)).await;
        assert!(cache.token(AUDIENCE).await.is_err());
        assert_eq!(provider.fetches.load(Ordering::SeqCst), asked);
        advance(Duration::from_millis(1)).await;
        assert_eq!(cache.retry_due_in(AUDIENCE), None);
    }
    provider.failing.store(false, Ordering::SeqCst);
    let token = cache.token(AUDIENCE).await.expect("it came back");
    provider.failing.store(true, Ordering::SeqCst);
    cache.invalidate(AUDIENCE, &token);
    assert!(cache.token(AUDIENCE).await.is_err());
    let kept = cache.retry_due_in(AUDIENCE).expect("it failed");
    assert!(kept <= FAILURE_KEPT, "the row began anew: {kept:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_reaches_everybody_who_waited() {
    let (provider, cache) = cache(HOUR, 0);
    provider.failing.store(true, Ordering::SeqCst);
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let cache = Arc::clone(&cache);
            tokio::spawn(async move { cache.token(AUDIENCE).await.is_err() })
        })
        .collect();
    tokio::task::yield_now().await;
    provider.gate.add_permits(1);
    for task in waiting {
        assert!(task.await.expect("no panic"));
    }
    assert_eq!(provider.fetches.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_provider_is_given_up() {
    let (_provider, cache) = cache(HOUR, 0);
    let start = Instant::now();
    let error = cache.token(AUDIENCE).await.expect_err("it never answers");
    assert!(matches!(error, Error::TimedOut { within } if within == DEFAULT_FETCH_TIMEOUT));
    assert_eq!(start.elapsed(), DEFAULT_FETCH_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_had_ended_is_refused() {
    let (provider, cache) = cache(Duration::ZERO, 10);
    let error = cache.token(AUDIENCE).await.expect_err("ended");
    assert!(matches!(error, Error::ExpiredOnArrival { at } if at == provider.clock.now()));
    assert!(error.to_string().contains("clock"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_once() {
    let (_provider, cache) = cache(HOUR, 10);
    let first = cache.token(AUDIENCE).await.expect("a token");
    cache.invalidate("elsewhere", &first);
    assert_eq!(text(&cache).await, "1");
    cache.invalidate(AUDIENCE, &first);
    assert_eq!(text(&cache).await, "2");
    // A second report of the first token must not cost the second one.
    cache.invalidate(AUDIENCE, &first);
    assert_eq!(text(&cache).await, "2");
}

/// Panics at first, then gives a token.
#[derive(Debug)]
struct Panics {
    asked: AtomicUsize,
    /// Whether it panics before there is a future, or in it.
    at_once: bool,
}

impl TokenProvider for Panics {
    fn token<'life0, 'life1, 'wait>(
        &'life0 self,
        _audience: &'life1 str,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Token, Error>> + Send + 'wait>>
    where
        'life0: 'wait,
        'life1: 'wait,
        Self: 'wait,
    {
        let first = self.asked.fetch_add(1, Ordering::SeqCst) == 0;
        assert!(!(first && self.at_once), "at once");
        Box::pin(async move {
            tokio::task::yield_now().await;
            assert!(!first, "in the future");
            let expires = Timestamp::from_millis(4_102_444_800_000);
            Ok(Token::new("whole".into(), TokenKind::Jwt, expires))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_panics_costs_an_error_and_no_task() {
    for at_once in [true, false] {
        let provider = Panics { asked: AtomicUsize::new(0), at_once };
        let cache = TokenCache::new(Arc::new(provider));
        let (one, two) = tokio::join!(cache.token(AUDIENCE), cache.token(AUDIENCE));
        for outcome in [one, two] {
            let error = outcome.expect_err("it panicked");
            assert!(matches!(error, Error::Panicked), "{error}");
            assert!(!error.is_retryable(), "a bug is not retried");
        }
        advance(FAILURE_KEPT).await;
        assert_eq!(text(&cache).await, "whole", "and the cache still works");
    }
}

#[tokio::test(start_paused = true)]
async fn many_that_were_refused_with_one_token_cost_one_fetch() {
    let (provider, cache) = cache(HOUR, 1);
    let refused = cache.token(AUDIENCE).await.expect("a token");
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let (cache, refused) = (Arc::clone(&cache), refused.clone());
            tokio::spawn(async move {
                cache.invalidate(AUDIENCE, &refused);
                text(&cache).await
            })
        })
        .collect();
    tokio::task::yield_now().await;
    provider.gate.add_permits(100);
    for task in waiting {
        assert_eq!(task.await.expect("no panic"), "2");
    }
    assert_eq!(provider.fetches.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_renewed_serves_until_its_end() {
    let clock = clock();
    let end = clock.now().saturating_add(HOUR).as_millis() / 1000;
    let text = format!("SharedAccessSignature sr=a&sig=b&se={end}&skn=c");
    let signature = SasSignature::parse(&text).expect("whole").with_clock(clock.clone());
    let cache = TokenCache::new(Arc::new(signature)).with_clock(clock);
    assert!(cache.token(AUDIENCE).await.is_ok());
    assert_eq!(cache.renewal_due_in(AUDIENCE), None);
    advance(HOUR - Duration::from_secs(1)).await;
    assert!(cache.token(AUDIENCE).await.is_ok());
    advance(Duration::from_secs(1)).await;
    let error = cache.token(AUDIENCE).await.expect_err("it ended");
    assert!(matches!(error, Error::Expired { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_fetches_anew() {
    let (provider, _) = cache(HOUR, 10);
    // The wall clock jumps while the monotonic one stands still.
    let jumped = Arc::new(AtomicBool::new(false));
    let wall = {
        let (jumped, clock) = (Arc::clone(&jumped), provider.clock.clone());
        Clock::from_fn(move || match jumped.load(Ordering::SeqCst) {
            true => clock.now().saturating_add(HOUR * 8),
            false => clock.now(),
        })
    };
    let cache = TokenCache::new(Arc::<Provider>::clone(&provider)).with_clock(wall);
    assert_eq!(text(&cache).await, "1");
    jumped.store(true, Ordering::SeqCst);
    assert!(cache.token(AUDIENCE).await.is_err(), "the provider's own clock is behind");
    assert_eq!(provider.fetches.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn audiences_are_bounded() {
    let (provider, cache) = cache(HOUR, 10_000);
    for number in 0..2 * MAX_AUDIENCES {
        cache.token(&number.to_string()).await.expect("a token");
    }
    assert!(format!("{cache:?}").contains(&format!("audiences: {MAX_AUDIENCES}")));
    let fetched = provider.fetches.load(Ordering::SeqCst);
    cache.token(&(2 * MAX_AUDIENCES - 1).to_string()).await.expect("a token");
    assert_eq!(provider.fetches.load(Ordering::SeqCst), fetched, "the last one is still held");
}
