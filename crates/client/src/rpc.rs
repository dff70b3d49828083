//! Questions and answers over a pair of links on one session, as `$cbs` and `$management` want it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use eventhubs_amqp::codec::DeliveryState;
use eventhubs_amqp::engine::SessionOptions;
use eventhubs_amqp::net::{Connection, Receiver, ReceiverOptions, Sender, SenderOptions, Session};
use eventhubs_protocol::condition::Place;
use eventhubs_protocol::link;
use eventhubs_protocol::rpc::{Answer, RequestId};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind, Operation};

/// Requests that may be without an answer at once; further ones wait. There is credit for as many
/// answers, so that the service never has to keep one.
const ANSWERS_MAX: u32 = 100;

#[derive(Debug, Default)]
struct Pending {
    next: Option<RequestId>,
    waiting: HashMap<RequestId, oneshot::Sender<Answer>>,
}

type Shared = Arc<Mutex<Pending>>;

fn lock(pending: &Mutex<Pending>) -> MutexGuard<'_, Pending> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The pair of links of one node.
#[derive(Debug)]
pub(crate) struct Rpc {
    sender: Sender,
    reply_to: String,
    pending: Shared,
    room: Semaphore,
    timeout: Duration,
    answers: JoinHandle<()>,
    _session: Session,
}

impl Drop for Rpc {
    fn drop(&mut self) {
        self.answers.abort();
    }
}

/// Forgets a request that nobody waits for any more.
struct Registration<'a> {
    pending: &'a Shared,
    id: RequestId,
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        lock(self.pending).waiting.remove(&self.id);
    }
}

impl Rpc {
    pub(crate) async fn attach(
        connection: &Connection,
        node: &str,
        timeout: Duration,
    ) -> Result<Self, eventhubs_amqp::net::Error> {
        let session = connection.session(SessionOptions::default()).await?;
        let reply_to = format!("{node}-reply-{}", uuid::Uuid::new_v4());
        let (to, from) = link::request_response(node, &reply_to);
        let sender = session.sender(SenderOptions {
            name: format!("{reply_to}-sender"),
            target: to.target,
            source: to.source,
            properties: to.properties,
            attach_timeout: timeout,
            send_timeout: timeout,
            ..SenderOptions::default()
        });
        let receiver = session.receiver(ReceiverOptions {
            // The service finds the way of an answer by the link's target or by its name.
            name: reply_to.clone(),
            source: from.source,
            target: from.target,
            properties: from.properties,
            attach_timeout: timeout,
            prefetch: ANSWERS_MAX,
            ..ReceiverOptions::default()
        });
        let (sender, receiver) = tokio::try_join!(sender, receiver)?;
        let pending = Shared::default();
        let answers = tokio::spawn(read_answers(receiver, Arc::clone(&pending)));
        let room = Semaphore::new(ANSWERS_MAX as usize);
        Ok(Self { sender, reply_to, pending, room, timeout, answers, _session: session })
    }

    /// Whether a request has a chance.
    pub(crate) fn is_live(&self) -> bool {
        self.sender.close_reason().is_none() && !self.answers.is_finished()
    }

    /// Sends what `build` makes of an id and the reply address, and waits for the answer.
    pub(crate) async fn request(
        &self,
        operation: Operation,
        entity: &str,
        build: impl FnOnce(RequestId, &str) -> Bytes,
    ) -> Result<Answer, Error> {
        let exchange = async {
            let _room = self.room.acquire().await.expect("the semaphore is never closed");
            let (id, answer) = self.register();
            let _registration = Registration { pending: &self.pending, id };
            let sent = self.sender.send(build(id, &self.reply_to), 0).await;
            match sent {
                Ok(DeliveryState::Accepted) => {}
                Ok(DeliveryState::Rejected(Some(error))) => {
                    return Err(Error::of_peer(&error, Place::Delivery, operation, entity));
                }
                Ok(state) => {
                    let detail = format!("the request was answered with {state:?}");
                    return Err(Error::new(ErrorKind::Rejected, operation, entity, detail));
                }
                Err(failure) => return Err(Error::of_request(&failure, operation, entity)),
            }
            answer.await.map_err(|_| {
                let detail = "the link of the answers was closed";
                Error::new(ErrorKind::Disconnected, operation, entity, detail)
            })
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(result) => result,
            Err(_) => {
                let detail = format!("no answer within {:?}", self.timeout);
                Err(Error::new(ErrorKind::Timeout, operation, entity, detail))
            }
        }
    }

    /// A number for a request, and where its answer will be.
    fn register(&self) -> (RequestId, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        let mut pending = lock(&self.pending);
        let id = pending.next.unwrap_or(RequestId::FIRST);
        pending.next = Some(id.next());
        pending.waiting.insert(id, reply);
        (id, answer)
    }
}

/// Gives each answer to whoever asked; those that nobody asked for are dropped.
async fn read_answers(mut receiver: Receiver, pending: Shared) {
    while let Ok(delivery) = receiver.recv().await {
        let Ok(answer) = Answer::read(&delivery.into_payload()) else { continue };
        let asked = answer.request().and_then(|id| lock(&pending).waiting.remove(&id));
        if let Some(asked) = asked {
            let _ = asked.send(answer);
        }
    }
    // Whoever still waits learns that no answer will come.
    lock(&pending).waiting.clear();
}
