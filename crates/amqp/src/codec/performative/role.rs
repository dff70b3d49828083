//! Which end of a link speaks.

/// The role of the end of a link which sends the performative (part 2.8.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// It sends messages.
    #[default]
    Sender,
    /// It receives messages.
    Receiver,
}

impl Role {
    /// The role of the other end.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Sender => Self::Receiver,
            Self::Receiver => Self::Sender,
        }
    }

    /// The wire has a truth value here: is it the receiver?
    pub(crate) const fn is_receiver(self) -> bool {
        matches!(self, Self::Receiver)
    }

    pub(crate) const fn from_receiver(receiver: bool) -> Self {
        if receiver { Self::Receiver } else { Self::Sender }
    }
}
