//! Links that the peer attaches to an accepted connection.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::connection::Connection;
use super::error::{Error, Operation};
use super::inbox::{Command, Inbox};
use super::receiver::{ReceiveLink, ReceiveOwner, Receiver, ReceiverOptions};
use super::sender::{SendLink, SendOwner, Sender, SenderOptions};
use crate::codec::performative::{Attach, Role};
use crate::codec::{AmqpError, condition};
use crate::engine::LinkId;

/// Links that may wait to be accepted; more are refused.
pub(crate) const INCOMING_MAX: usize = 256;

/// The links of an accepted [`Connection`], in the order in which the peer attached them.
#[derive(Debug)]
pub struct Incoming {
    links: mpsc::Receiver<IncomingLink>,
    connection: Connection,
}

impl Incoming {
    pub(crate) fn new(links: mpsc::Receiver<IncomingLink>, connection: Connection) -> Self {
        Self { links, connection }
    }

    /// The next link that the peer attached.
    ///
    /// # Errors
    ///
    /// When the connection is over.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Result<IncomingLink, Error> {
        match self.links.recv().await {
            Some(mut link) => {
                link.connection = Some(self.connection.clone());
                Ok(link)
            }
            None => Err(self.connection.gone(Operation::Accept)),
        }
    }
}

/// A link that waits to be accepted. Dropping it refuses it.
#[derive(Debug)]
pub struct IncomingLink {
    id: LinkId,
    attach: Box<Attach>,
    inbox: Arc<Inbox>,
    connection: Option<Connection>,
    answered: bool,
}

impl IncomingLink {
    pub(crate) fn new(id: LinkId, attach: Box<Attach>, inbox: Arc<Inbox>) -> Self {
        Self { id, attach, inbox, connection: None, answered: false }
    }

    /// The peer's attach; its role is the peer's.
    pub fn attach(&self) -> &Attach {
        &self.attach
    }

    /// Our role if it is accepted.
    pub fn role(&self) -> Role {
        match self.attach.role {
            Role::Sender => Role::Receiver,
            Role::Receiver => Role::Sender,
        }
    }

    /// Accepts a link on which the peer receives. Source and target are the peer's.
    ///
    /// # Errors
    ///
    /// When the peer is the sender, or the connection is over.
    pub fn accept_sender(mut self, options: SenderOptions) -> Result<Sender, Error> {
        let connection = self.check(Role::Sender)?;
        let mut answer = options.attach(String::new());
        answer.source.clone_from(&self.attach.source);
        answer.target.clone_from(&self.attach.target);
        answer.snd_settle_mode = self.attach.snd_settle_mode;
        answer.rcv_settle_mode = self.attach.rcv_settle_mode;
        let link = Arc::new(SendLink::new(&options, Arc::clone(&self.inbox)));
        let owner = SendOwner(Arc::clone(&link));
        self.answer(&connection, Command::AcceptSender(self.id, Box::new(answer), link))?;
        Ok(Sender::new(owner, self.attach.clone(), connection))
    }

    /// Accepts a link on which the peer sends. Source and target are the peer's.
    ///
    /// # Errors
    ///
    /// When the peer is the receiver, or the connection is over.
    pub fn accept_receiver(mut self, options: ReceiverOptions) -> Result<Receiver, Error> {
        let connection = self.check(Role::Receiver)?;
        let mut answer = options.attach(String::new());
        answer.source.clone_from(&self.attach.source);
        answer.target.clone_from(&self.attach.target);
        answer.snd_settle_mode = self.attach.snd_settle_mode;
        let link = Arc::new(ReceiveLink::new(&options, Arc::clone(&self.inbox)));
        let owner = ReceiveOwner(Arc::clone(&link));
        self.answer(&connection, Command::AcceptReceiver(self.id, Box::new(answer), link))?;
        Ok(Receiver::new(owner, self.attach.clone(), &options, connection))
    }

    /// Refuses the link and says why.
    pub fn refuse(mut self, error: AmqpError) {
        self.answered = true;
        let _ = self.inbox.command(Command::Refuse(self.id, error));
    }

    fn check(&self, role: Role) -> Result<Connection, Error> {
        let entity = self.attach.name.clone();
        let wrong = || {
            let text = "the peer attached the other role".to_owned();
            Error::new(Operation::Accept, entity, super::ErrorKind::Exhausted(text))
        };
        match &self.connection {
            Some(connection) if self.role() == role => Ok(connection.clone()),
            _ => Err(wrong()),
        }
    }

    fn answer(&mut self, connection: &Connection, command: Command) -> Result<(), Error> {
        self.answered = true;
        self.inbox.command(command).map_err(|_| connection.gone(Operation::Accept))
    }
}

impl Drop for IncomingLink {
    fn drop(&mut self) {
        if !self.answered {
            let text = "nobody accepts this link now";
            let error = AmqpError::new(condition::RESOURCE_LIMIT_EXCEEDED, text);
            let _ = self.inbox.command(Command::Refuse(self.id, error));
        }
    }
}
