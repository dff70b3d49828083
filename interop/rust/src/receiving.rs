//! Receiving until a condition holds, with a deadline.

use std::sync::Arc;
use std::time::Duration;

use azure_messaging_eventhubs::models::ReceivedEventData;
use azure_messaging_eventhubs::{ConsumerClient, EventHubsError, OpenReceiverOptions, Result};
use futures::StreamExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::Failure;

/// Each case has a deadline of its own; this one only gives a better message than that.
const RECEIVE: Duration = Duration::from_secs(15);

/// A receiver in a task of its own.
pub(crate) struct Receiving {
    /// What was received so far, in order.
    pub(crate) events: Vec<Arc<ReceivedEventData>>,
    incoming: mpsc::UnboundedReceiver<Result<ReceivedEventData>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<()>>,
}

impl Receiving {
    pub(crate) async fn start(
        consumer: ConsumerClient,
        partition: &str,
        options: OpenReceiverOptions,
    ) -> Result<Self> {
        let receiver =
            consumer.open_receiver_on_partition(partition.to_owned(), Some(options)).await?;
        let (send, incoming) = mpsc::unbounded_channel();
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            {
                let mut stream = receiver.stream_events();
                loop {
                    tokio::select! {
                        _ = &mut stopped => break,
                        next = stream.next() => match next {
                            Some(result) => drop(send.send(result)),
                            None => break,
                        },
                    }
                }
            }
            receiver.close().await?;
            consumer.close().await
        });
        Ok(Self { events: Vec::new(), incoming, stop, task })
    }

    /// Waits until `done` holds for the events received so far.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        done: impl Fn(&[Arc<ReceivedEventData>]) -> bool,
    ) -> std::result::Result<(), Failure> {
        let events = &mut self.events;
        let incoming = &mut self.incoming;
        let waiting = async {
            while !done(events) {
                match incoming.recv().await {
                    Some(Ok(event)) => events.push(Arc::new(event)),
                    Some(Err(error)) => return Err(Failure::from(error)),
                    None => return Err("the stream has ended".into()),
                }
            }
            Ok(())
        };
        let outcome = timeout(RECEIVE, waiting).await;
        outcome.unwrap_or_else(|_| {
            let seconds = RECEIVE.as_secs();
            let count = self.events.len();
            Err(format!("not {what} within {seconds} s: {count} events").into())
        })
    }

    /// Waits for `count` events and returns them.
    pub(crate) async fn wait(
        &mut self,
        count: usize,
    ) -> std::result::Result<Vec<Arc<ReceivedEventData>>, Failure> {
        self.until(&format!("{count} events"), |events| events.len() >= count).await?;
        Ok(self.events[..count].to_vec())
    }

    /// Waits for an error of the client; events that come first are kept.
    pub(crate) async fn error(&mut self) -> std::result::Result<EventHubsError, Failure> {
        let events = &mut self.events;
        let incoming = &mut self.incoming;
        let waiting = async {
            loop {
                match incoming.recv().await {
                    Some(Ok(event)) => events.push(Arc::new(event)),
                    Some(Err(error)) => return Ok(error),
                    None => return Err(Failure::from("the stream has ended without an error")),
                }
            }
        };
        timeout(RECEIVE, waiting).await.map_err(|_| "no error came")?
    }

    /// Whether nothing was received beyond what was waited for.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.incoming.try_recv().is_err()
    }

    /// Closes receiver and client and waits for both.
    pub(crate) async fn close(self) -> std::result::Result<(), Failure> {
        let _ = self.stop.send(());
        Ok(self.task.await??)
    }
}
