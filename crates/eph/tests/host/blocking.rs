//! Handlers that block the thread they run on, which they must not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use eventhubs_eph::balance::Strategy;
use eventhubs_eph::ownership::Timing;
use eventhubs_eph::{Handler, HostOptions};

use crate::support::{World, seconds, until};

// Real threads and so the real clock: the renewals are waited for, however long they take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p08_a_handler_that_blocks_its_thread_stops_no_renewal_while_another_thread_is_left() {
    let world = World::new(1).await;
    let timing = Timing { renewal: Duration::from_millis(50), ..Timing::default() };
    let options = HostOptions::default().with_timing(timing).with_strategy(Strategy::Greedy);
    let host = world.bare(options);
    let (go, gate) = mpsc::channel::<()>();
    let (gate, is_blocked) = (Mutex::new(gate), Arc::new(AtomicBool::new(false)));
    let blocked = Arc::clone(&is_blocked);
    let handler = Handler::each(move |_, _| {
        blocked.store(true, Ordering::SeqCst);
        // Until the other end is gone.
        let _ = gate.lock().expect("one call at a time").recv();
        async { Ok(()) }
    });
    host.register_handler(handler).expect("it is open");
    host.start_nonblocking().expect("it is idle");
    world.append(0, 1);
    until(seconds(60), || is_blocked.load(Ordering::SeqCst).then_some(()).ok_or("not yet")).await;
    let before = host.statistics().renewals;
    until(seconds(60), || match host.statistics().renewals {
        renewals if renewals >= before + 5 => Ok(()),
        renewals => Err(renewals),
    })
    .await;
    assert_eq!(host.statistics().lost_total(), 0);
    drop(go);
    until(seconds(60), || match host.statistics().events_handled {
        1 => Ok(()),
        other => Err(other),
    })
    .await;
    host.close().await.expect("it closes");
}
