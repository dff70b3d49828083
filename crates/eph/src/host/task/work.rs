//! What the task of a host waits for.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use eventhubs_protocol::PartitionId;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use tokio::sync::watch;

use crate::clock;
use crate::host::board::Board;
use crate::host::state::Goal;
use crate::keeper::{Keeper, Over};
use crate::scan::{Claimed, Found, Told};

/// Something that happened.
pub(super) enum Work {
    /// The last handle was dropped.
    Abandoned,
    /// The host is to stop or to close.
    Goal,
    /// It is time for a look.
    Due(u64),
    Looked(Box<Found>),
    Claimed(Box<Claimed>),
    Over(PartitionId, Over),
    /// The host is paused, or not any more.
    Paused(bool),
    /// A pause has lasted for as long as partitions are kept.
    PauseOver(u64),
    /// A lease that was won too late was given back, or not.
    Released,
    /// The presence was withdrawn, or not.
    Withdrawn,
    /// Time to stop is up.
    DrainOver,
}

pub(super) type Working = Pin<Box<dyn Future<Output = Work> + Send>>;

pub(super) fn abandoned(mut alive: watch::Receiver<()>) -> Working {
    Box::pin(async move {
        while alive.changed().await.is_ok() {}
        Work::Abandoned
    })
}

pub(super) fn goal(board: &Board) -> Working {
    let told = told(board);
    Box::pin(async move {
        told.await;
        Work::Goal
    })
}

/// Ends when the host is to stop or to close.
pub(super) fn told(board: &Board) -> Told {
    let mut standing = board.subscribe();
    let told = async move {
        // The board outlives its task.
        let _ = standing.wait_for(|standing| standing.machine.goal() != Goal::Run).await;
    };
    told.boxed().shared()
}

pub(super) fn looked(look: impl Future<Output = Found> + Send + 'static) -> Working {
    Box::pin(async { Work::Looked(Box::new(look.await)) })
}

pub(super) fn due(number: u64, wait: Duration) -> Working {
    Box::pin(async move {
        clock::pause(wait).await;
        Work::Due(number)
    })
}

pub(super) fn over(keeper: Arc<Keeper>) -> Working {
    Box::pin(async move {
        let over = keeper.over().await;
        Work::Over(keeper.partition(), over)
    })
}

/// Waits for the pause to be other than `known`.
pub(super) fn paused(mut paused: watch::Receiver<bool>, known: Option<bool>) -> Working {
    Box::pin(async move {
        match paused.wait_for(|paused| Some(*paused) != known).await.map(|paused| *paused) {
            Ok(paused) => Work::Paused(paused),
            // Nobody is left who could pause: the task is told otherwise.
            Err(_) => std::future::pending().await,
        }
    })
}

pub(super) fn pause_over(number: u64, wait: Duration) -> Working {
    Box::pin(async move {
        clock::pause(wait).await;
        Work::PauseOver(number)
    })
}

/// Tells the board how what the host follows is, for as long as there is a task.
pub(super) fn follow(board: &Arc<Board>) -> Working {
    let board = Arc::clone(board);
    Box::pin(async move {
        let mut followed = board.followed();
        loop {
            let health = followed.borrow_and_update().clone();
            let watching = async {
                let Some(mut health) = health else { return std::future::pending().await };
                loop {
                    let is_well = *health.borrow_and_update();
                    board.feels(is_well);
                    if health.changed().await.is_err() {
                        // Nobody can say that it is not well.
                        board.feels(true);
                        return std::future::pending::<()>().await;
                    }
                }
            };
            match select(pin!(watching), pin!(followed.changed())).await {
                Either::Right((Ok(()), _)) => {}
                Either::Left(_) | Either::Right((Err(_), _)) => {
                    return std::future::pending().await;
                }
            }
        }
    })
}
