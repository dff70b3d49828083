//! One fetch at a time per audience, whoever asks, fails, panics or goes away. By seeds.

use async_trait::async_trait;
use eventhubs_auth::{Clock, Error, Token, TokenCache, TokenKind, TokenProvider};
use eventhubs_protocol::Timestamp;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, timeout};

const AUDIENCES: usize = 3;
const TASKS: usize = 60;
const SEEDS: u64 = 300;

/// Numbers that depend on nothing but a seed.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

async fn pass(millis: u64) {
    let nothing = std::future::pending::<()>();
    let _ = timeout(Duration::from_millis(millis), nothing).await;
}

/// What happened with one audience.
#[derive(Debug, Default)]
struct Seen {
    running: usize,
    most: usize,
    fetches: usize,
    given: usize,
}

/// A provider that takes its time, and fails and panics now and then.
#[derive(Debug)]
struct Moody {
    dice: Mutex<Dice>,
    seen: [Mutex<Seen>; AUDIENCES],
    /// One fetch of so many goes wrong; 0 for none.
    wrong: u64,
    life: Duration,
    clock: Clock,
}

/// Counts a fetch as running until it ends or is dropped.
struct Running<'a>(&'a Mutex<Seen>);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.lock().expect("no panic with it").running -= 1;
    }
}

#[async_trait]
impl TokenProvider for Moody {
    async fn token(&self, audience: &str) -> Result<Token, Error> {
        let index: usize = audience.parse().expect("a number");
        let seen = &self.seen[index];
        {
            let mut seen = seen.lock().expect("no panic with it");
            seen.running += 1;
            seen.fetches += 1;
            seen.most = seen.most.max(seen.running);
        }
        let running = Running(seen);
        let (wait, mood) = {
            let mut dice = self.dice.lock().expect("no panic with it");
            (dice.below(400), if self.wrong == 0 { 1 } else { dice.below(2 * self.wrong) })
        };
        pass(wait).await;
        drop(running);
        match mood {
            0 => Err(Error::provider(std::io::Error::other("a mood"))),
            2 => panic!("a mood"),
            _ => {
                seen.lock().expect("no panic with it").given += 1;
                let expires = self.clock.now().saturating_add(self.life);
                Ok(Token::new(audience.into(), TokenKind::Jwt, expires))
            }
        }
    }
}

/// One run: tasks that come at any time, wait for as long as they like, and say that a token was
/// refused now and then.
async fn run(seed: u64, wrong: u64, life: Duration, refuses: bool) -> Arc<Moody> {
    let start = Instant::now();
    let clock = Clock::from_fn(move || {
        Timestamp::from_millis(1_700_000_000_000).saturating_add(start.elapsed())
    });
    let provider = Arc::new(Moody {
        dice: Mutex::new(Dice(seed)),
        seen: Default::default(),
        wrong,
        life,
        clock: clock.clone(),
    });
    let shared = Arc::<Moody>::clone(&provider);
    let cache = Arc::new(TokenCache::new(shared).with_clock(clock.clone()));
    let mut dice = Dice(!seed);
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (cache, clock) = (Arc::clone(&cache), clock.clone());
            let audience = dice.below(AUDIENCES as u64).to_string();
            let (begin, patience) = (dice.below(2_000), 1 + dice.below(600));
            let refused = refuses && dice.below(4) == 0;
            tokio::spawn(async move {
                pass(begin).await;
                // Who loses patience drops the future, which may be the one that fetches.
                let patience = Duration::from_millis(patience);
                let Ok(Ok(token)) = timeout(patience, cache.token(&audience)).await else {
                    return;
                };
                assert_eq!(token.secret().expose(), audience, "another audience's token");
                assert!(token.expires() > clock.now(), "it has ended");
                if refused {
                    cache.invalidate(&audience, &token);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic gets out");
    }
    // Whatever went before, a token is to be had.
    for audience in 0..AUDIENCES {
        let mut tries = 0;
        while cache.token(&audience.to_string()).await.is_err() {
            tries += 1;
            assert!(tries < 100, "it does not come back");
            pass(60_000).await;
        }
    }
    provider
}

/// Runs all seeds, each on a clock of its own, and says which one it was when one fails.
fn every_seed(check: impl Fn(u64, &tokio::runtime::Runtime) + std::panic::RefUnwindSafe) {
    for seed in 0..SEEDS {
        let outcome = std::panic::catch_unwind(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .expect("a runtime");
            check(seed, &runtime);
        });
        assert!(outcome.is_ok(), "seed {seed} failed");
    }
}

#[test]
fn at_most_one_fetch_per_audience_is_in_flight() {
    every_seed(|seed, runtime| {
        let provider = runtime.block_on(run(seed, 2, Duration::from_millis(700), true));
        for seen in &provider.seen {
            let seen = seen.lock().expect("no panic with it");
            assert_eq!(seen.running, 0, "a fetch that was dropped still counts");
            assert!(seen.most <= 1, "{seen:?}");
        }
    });
}

#[test]
fn one_token_per_audience_serves_whoever_goes_away() {
    every_seed(|seed, runtime| {
        let provider = runtime.block_on(run(seed, 0, Duration::from_secs(3600), false));
        for seen in &provider.seen {
            let seen = seen.lock().expect("no panic with it");
            assert_eq!(seen.given, 1, "{seen:?}");
            assert!(seen.most <= 1 && seen.fetches >= 1, "{seen:?}");
        }
    });
}
