//! Whole runs, in memory and on a paused clock: sound ones pass, and bugs between client and oracle
//! are found.

use std::time::Duration;

use eventhubs_chaos::run::{self, Gauges, Report, Settings, Silent, Transport};
use eventhubs_chaos::tamper::Bug;

const LENGTH: Duration = Duration::from_secs(8);

/// A run of clients that do not try again, so that every failure is seen.
async fn run(seed: u64, rows: &[&str], bug: Option<Bug>) -> Report {
    let mut settings = Settings::new(seed, LENGTH);
    settings.transport = Transport::Memory;
    settings.faults = !rows.is_empty();
    settings.rows = rows.iter().map(|row| (*row).to_owned()).collect();
    settings.bug = bug;
    settings.retries = false;
    settings.pace = Duration::from_millis(20);
    run::client(&settings, &Gauges::NONE, &Silent).await.expect("it runs")
}

#[tokio::test(start_paused = true)]
async fn a_run_in_which_nothing_goes_wrong_passes() {
    let report = run(1, &[], None).await;
    assert!(report.findings.is_empty(), "{report}");
    let acknowledged: u64 = report.value("acknowledged").and_then(|n| n.parse().ok()).unwrap_or(0);
    assert!(acknowledged > 1_000, "{report}");
}

/// A bug of consumers is found under each of these names.
async fn found(bug: Bug, names: &[&str]) {
    let report = run(2, &[], Some(bug)).await;
    for name in names {
        assert!(report.findings.count(name) > 0, "{bug:?}: no {name}\n{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn bugs_of_a_consumer_are_found_in_a_whole_run() {
    found(Bug::Lose, &["skipped", "undelivered"]).await;
    found(Bug::Duplicate, &["repeated"]).await;
    found(Bug::Swap, &["skipped", "repeated"]).await;
    found(Bug::ResumeAtOrigin, &["repeated"]).await;
    found(Bug::Corrupt, &["misread"]).await;
    found(Bug::FalseGap, &["untrue"]).await;
}

#[tokio::test(start_paused = true)]
async fn bugs_of_a_producer_are_found_in_a_whole_run() {
    found(Bug::AckedAsFailed, &["stored all the same"]).await;
    found(Bug::Dawdle, &["late"]).await;
}

/// Whether a bug that shows only when something goes wrong is found in one of a few runs.
async fn found_under(rows: &[&str], bug: Bug, name: &str) {
    for seed in 0..10 {
        let sound = run(seed, rows, None).await;
        assert!(sound.findings.is_empty(), "seed {seed}\n{sound}");
        if run(seed, rows, Some(bug)).await.findings.count(name) > 0 {
            return;
        }
    }
    panic!("{bug:?}: no {name}");
}

#[tokio::test(start_paused = true)]
async fn bugs_of_a_producer_that_lies_about_failures_are_found_in_a_whole_run() {
    found_under(&["S16"], Bug::FailedAsAcked, "lost").await;
    found_under(&["S17"], Bug::UnknownAsFailed, "stored all the same").await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_stuck_or_leaves_something_behind_is_found_in_a_whole_run() {
    found(Bug::Stall, &["stuck", "undelivered"]).await;
    found(Bug::Linger, &["kept"]).await;
}

#[tokio::test(start_paused = true)]
async fn runs_under_faults_keep_every_promise() {
    let seeds = match std::env::var("CHAOS_SEED").map(|seed| seed.parse()) {
        Ok(Ok(seed)) => seed..seed + 1,
        _ => 0..5,
    };
    for seed in seeds {
        println!("CHAOS_SEED={seed}");
        let mut settings = Settings::new(seed, LENGTH);
        settings.transport = Transport::Memory;
        settings.pace = Duration::from_millis(20);
        let report = run::client(&settings, &Gauges::NONE, &Silent).await.expect("it runs");
        assert!(report.findings.is_empty(), "seed {seed}\n{report}");
    }
}

/// Clients that do not try again tell of each send what became of it, and each receiver meets what
/// it has to know.
#[tokio::test(start_paused = true)]
async fn runs_under_one_kind_of_fault_keep_every_promise() {
    for row in ["S16", "S17", "N5", "S20"] {
        for seed in 0..2 {
            let report = run(seed, &[row], None).await;
            assert!(report.findings.is_empty(), "{row}, seed {seed}\n{report}");
            assert!(report.value("faults struck").is_some_and(|text| !text.starts_with("0 ")));
        }
    }
}
