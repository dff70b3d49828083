//! Receiving through a host, with its defaults and a handler that is ready at once.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use eventhubs_bench::Workload;
use eventhubs_client::{Hub, ReceivedEvent};
use eventhubs_eph::balance::Strategy;
use eventhubs_eph::{EventProcessorHost, Handler, HandlerError, HostOptions, MemoryStore};
use tokio::sync::Notify;

use crate::{
    Done, Failure,
    meter::{Meter, Reading},
};

/// What the handler counts. The events come one after the other: nothing is ever contended.
#[derive(Default)]
struct Count {
    last: AtomicI64,
    bytes: AtomicU64,
    meter: Mutex<Option<Meter>>,
    done: OnceLock<(Reading, u64)>,
    is_done: Notify,
}

impl Count {
    #[inline(always)]
    fn event(&self, event: &ReceivedEvent, end: i64) -> Result<(), HandlerError> {
        let sequence = event.sequence_number().as_i64();
        let last = self.last.load(Relaxed);
        if sequence != last + 1 {
            return Err(HandlerError::stop(format!("event {sequence} came after {last}")));
        }
        self.last.store(sequence, Relaxed);
        // There is one writer.
        let bytes = self.bytes.load(Relaxed) + event.body().len() as u64;
        self.bytes.store(bytes, Relaxed);
        if sequence == 0 || sequence == end {
            self.turn(sequence == end, bytes);
        }
        Ok(())
    }

    /// The first event, or the last that counts.
    #[cold]
    fn turn(&self, is_end: bool, bytes: u64) {
        let mut meter = self.meter.lock().unwrap_or_else(PoisonError::into_inner);
        let meter = meter.get_or_insert_with(Meter::start);
        if is_end {
            let _ = self.done.set((meter.read(), bytes));
            self.is_done.notify_one();
        }
    }
}

/// Runs the workload.
pub(crate) async fn run(hub: Hub, workload: Workload, count: u64) -> Result<Done, Failure> {
    let store = Arc::new(MemoryStore::new());
    // A host that is alone need not wait for others to be seen.
    let options =
        HostOptions::default().with_prefetch(workload.prefetch()).with_strategy(Strategy::Greedy);
    let host = EventProcessorHost::new(hub, Arc::clone(&store) as _, store, options)?;
    let counted = Arc::new(Count { last: AtomicI64::new(-1), ..Count::default() });
    let (own, end) = (Arc::clone(&counted), i64::try_from(count)? - 1);
    host.register_handler(match workload {
        Workload::EphBatch1k => Handler::batch(move |events, _| {
            let result = events.iter().try_for_each(|event| own.event(event, end));
            async { result }
        }),
        _ => Handler::each(move |event, _| {
            let result = own.event(&event, end);
            async { result }
        }),
    })?;
    host.start_nonblocking()?;
    counted.is_done.notified().await;
    host.close().await?;
    let (reading, bytes) = *counted.done.get().ok_or("the last event did not come")?;
    if bytes != count * u64::try_from(workload.body())? {
        return Err(format!("{count} events had bodies of {bytes} bytes in all").into());
    }
    Ok(Done { events: count, timed_events: count - 1, reading })
}
