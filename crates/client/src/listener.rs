//! Receiving with a handler, in a task of its own.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use eventhubs_protocol::{PartitionId, ReceivedEvent};
use tokio::sync::watch;

use crate::error::{Error, ErrorKind, Operation};
use crate::stream::EventStream;

/// What a handler may fail with.
pub(crate) type HandlerError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Default)]
struct State {
    error: Mutex<Option<Error>>,
}

/// A receiver that runs in the background, from [`Hub::receive`](crate::Hub::receive).
///
/// Dropping the handle lets the receiver run on; [`close`](Self::close) ends it. It outlives outages
/// as an [`EventStream`] does.
///
/// A handler gets events and nothing else. What a stream tells between them (a gap, events that
/// retention removed, an event that cannot be decoded) is logged at level warn and, except for the
/// last, counted by [`Hub::statistics`](crate::Hub::statistics); the listener goes on. Whoever has to
/// act on it reads the stream itself, from [`Hub::events`](crate::Hub::events).
///
/// ```no_run
/// # async fn example(hub: eventhubs_client::Hub) -> Result<(), Box<dyn std::error::Error>> {
/// use eventhubs_client::{PartitionId, ReceiveOptions};
///
/// let options = ReceiveOptions::default();
/// let listener = hub
///     .receive(PartitionId::from(0), options, |event| async move {
///         let text = std::str::from_utf8(event.body())?;
///         println!("{text}");
///         Ok::<(), std::str::Utf8Error>(())
///     })
///     .await?;
/// listener.done().await;
/// if let Some(error) = listener.err() {
///     eprintln!("the receiver has ended: {error}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ListenerHandle {
    partition: PartitionId,
    state: Arc<State>,
    stop: Arc<watch::Sender<bool>>,
    done: watch::Receiver<bool>,
}

impl ListenerHandle {
    pub(crate) fn start<H, F>(stream: EventStream, handler: H) -> Self
    where
        H: FnMut(ReceivedEvent) -> F + Send + 'static,
        F: Future<Output = Result<(), HandlerError>> + Send,
    {
        let (stop, stopped) = watch::channel(false);
        let (finished, done) = watch::channel(false);
        let state = Arc::new(State::default());
        let partition = stream.partition();
        let finished =
            Finished { done: finished, state: Arc::clone(&state), entity: stream.entity().into() };
        tokio::spawn(async move {
            // Told however the task ends, a panic of the handler included.
            let finished = finished;
            if let Err(error) = listen(stream, handler, stopped).await {
                finished.state.set(error);
            }
        });
        Self { partition, state, stop: Arc::new(stop), done }
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        self.partition
    }

    /// Ends the receiver after the event that is being handled, and waits for that. A handler must
    /// not wait for it, since it would wait for itself; it ends the receiver by an error.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the receiver ends all the same.
    pub async fn close(&self) {
        self.stop.send_replace(true);
        self.done().await;
    }

    /// Waits until the receiver has ended, for whatever reason.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn done(&self) {
        let mut done = self.done.clone();
        // An error means that the task is gone, which is what is waited for.
        let _ = done.wait_for(|done| *done).await;
    }

    /// Why the receiver has ended; `None` while it runs and after [`close`](Self::close). What a
    /// handler failed with is the source of an error of kind [`ErrorKind::Handler`]; a panic of the
    /// handler has no source.
    #[must_use]
    pub fn err(&self) -> Option<Error> {
        self.state.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl State {
    fn set(&self, error: Error) {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// Tells the end of the task, and that it was a panic.
struct Finished {
    done: watch::Sender<bool>,
    state: Arc<State>,
    entity: Box<str>,
}

impl Drop for Finished {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (kind, operation) = (ErrorKind::Handler, Operation::Handle);
            self.state.set(Error::new(kind, operation, &*self.entity, "the handler panicked"));
        }
        self.done.send_replace(true);
    }
}

async fn listen<H, F>(
    mut stream: EventStream,
    mut handler: H,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), Error>
where
    H: FnMut(ReceivedEvent) -> F + Send,
    F: Future<Output = Result<(), HandlerError>> + Send,
{
    loop {
        let event = tokio::select! {
            biased;
            // Without a handle nobody can stop it: an error here is no reason to.
            Ok(_) = stopped.wait_for(|stopped| *stopped) => break,
            event = stream.next() => event,
        };
        let Some(event) = event else { break };
        let event = match event {
            Ok(event) => event,
            Err(error) if error.ends_stream() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "a listener goes on after it");
                continue;
            }
        };
        let number = event.sequence_number();
        if let Err(cause) = handler(event).await {
            let detail = format!("the handler failed on sequence number {number}: {cause}");
            let entity = stream.entity().to_owned();
            stream.close().await;
            return Err(Error::new(ErrorKind::Handler, Operation::Handle, entity, detail)
                .with_source(cause));
        }
    }
    stream.close().await;
    Ok(())
}
