//! The only door to time in this crate. Time is the runtime's, so a paused runtime pauses us.

use std::time::Duration;

use tokio::time::Instant;

/// The runtime's idea of now.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Lets a while pass.
///
/// Cancel safe.
pub(crate) async fn pause(span: Duration) {
    tokio::time::sleep_until(now() + span).await;
}
