//! Calls of a handler beside its events: when a partition is opened and when it is closed.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;

use crate::clock;
use crate::handler::{Failure, HandlerError};
use crate::notice::FailureCause;

/// What a call says, its panics and its taking too long among it.
pub(crate) async fn guarded(
    limit: Option<Duration>,
    call: impl Future<Output = Result<(), HandlerError>>,
) -> Result<(), Failure> {
    let caught = AssertUnwindSafe(call).catch_unwind();
    let result = match limit {
        None => caught.await,
        Some(limit) => match clock::within(limit, caught).await {
            Some(result) => result,
            None => {
                let cause = FailureCause::TimedOut(limit);
                return Err(Failure { cause, verdict: None });
            }
        },
    };
    match result {
        Ok(result) => result.map_err(Failure::from),
        Err(payload) => Err(Failure::of_panic(&*payload)),
    }
}
