//! Who receives from one partition in one consumer group, and who has to give way.
//!
//! A receiver with an epoch (owner level) excludes those without one and displaces those with a
//! lower or the same epoch. Without epochs a small number may read side by side. The texts are the
//! service's own, because clients read them.

use eventhubs_amqp::codec::{AmqpError, condition};

/// A receiver that asks to be let in, or has been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receiver<T> {
    /// How to reach it.
    pub(crate) handle: T,
    /// Owner level, if it has one.
    pub(crate) epoch: Option<i64>,
    /// Name for error texts.
    pub(crate) name: String,
}

/// The live receivers.
#[derive(Debug)]
pub(crate) struct Receivers<T> {
    live: Vec<Receiver<T>>,
}

impl<T> Default for Receivers<T> {
    fn default() -> Self {
        Self { live: Vec::new() }
    }
}

impl<T: PartialEq> Receivers<T> {
    /// Lets `newcomer` in. The result is those it displaced, with what to tell each of them; they
    /// are no longer counted.
    pub(crate) fn admit(
        &mut self,
        newcomer: Receiver<T>,
        limit: usize,
    ) -> Result<Vec<(T, AmqpError)>, AmqpError> {
        let highest = self.live.iter().filter_map(|receiver| receiver.epoch).max();
        let displaced = match (newcomer.epoch, highest) {
            (None, Some(highest)) => return Err(epoch_receiver_exists(highest)),
            (None, None) if self.live.len() >= limit => return Err(self.too_many(limit)),
            (None, None) => Vec::new(),
            (Some(epoch), Some(highest)) if epoch < highest => {
                let owner = self.live.iter().find(|receiver| receiver.epoch == Some(highest));
                let owner = owner.map_or("", |receiver| receiver.name.as_str());
                return Err(higher_epoch_exists(owner, highest, &newcomer.name, epoch));
            }
            (Some(epoch), _) => std::mem::take(&mut self.live)
                .into_iter()
                .map(|old| {
                    let error = displaced_by(&newcomer.name, epoch, &old.name, old.epoch);
                    (old.handle, error)
                })
                .collect(),
        };
        self.live.push(newcomer);
        Ok(displaced)
    }

    /// Forgets a receiver; nothing happens when it was displaced before.
    pub(crate) fn leave(&mut self, handle: &T) {
        self.live.retain(|receiver| receiver.handle != *handle);
    }

    /// Those who receive, in the order in which they came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Receiver<T>> {
        self.live.iter()
    }

    /// Whether nobody receives.
    pub(crate) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    fn too_many(&self, limit: usize) -> AmqpError {
        let names: Vec<_> = self.live.iter().map(|receiver| receiver.name.as_str()).collect();
        AmqpError::new(
            condition::RESOURCE_LIMIT_EXCEEDED,
            format!(
                "Exceeded the maximum number of allowed receivers per partition in a consumer \
                 group which is {limit}. List of connected receivers - {}.",
                names.join(", ")
            ),
        )
    }
}

fn epoch_receiver_exists(highest: i64) -> AmqpError {
    AmqpError::new(
        condition::LINK_STOLEN,
        format!(
            "At least one receiver for the endpoint is created with epoch of '{highest}', and so \
             non-epoch receiver is not allowed. Either reconnect with a higher epoch, or make sure \
             all epoch receivers are closed or disconnected."
        ),
    )
}

fn higher_epoch_exists(owner: &str, highest: i64, name: &str, epoch: i64) -> AmqpError {
    AmqpError::new(
        condition::LINK_STOLEN,
        format!(
            "Receiver '{owner}' with a higher epoch '{highest}' already exists. Receiver '{name}' \
             with epoch {epoch} cannot be created. Make sure you are creating receiver with \
             increasing epoch value to ensure connectivity, or ensure all old epoch receivers are \
             closed or disconnected."
        ),
    )
}

fn displaced_by(name: &str, epoch: i64, old: &str, old_epoch: Option<i64>) -> AmqpError {
    // The service counts a receiver without an epoch as one below every epoch.
    let old_epoch = old_epoch.unwrap_or(-1);
    AmqpError::new(
        condition::LINK_STOLEN,
        format!(
            "New receiver '{name}' with higher epoch of '{epoch}' is created hence current \
             receiver '{old}' with epoch '{old_epoch}' is getting disconnected. If you are \
             recreating the receiver, make sure a higher epoch is used."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receiver(handle: u32, epoch: Option<i64>) -> Receiver<u32> {
        Receiver { handle, epoch, name: format!("r{handle}") }
    }

    fn text(error: &AmqpError) -> &str {
        error.description.as_deref().unwrap_or_default()
    }

    /// Admits with a limit of five; the handles displaced, or the refusal's condition.
    fn admit(
        receivers: &mut Receivers<u32>,
        handle: u32,
        epoch: Option<i64>,
    ) -> Result<Vec<u32>, AmqpError> {
        let displaced = receivers.admit(receiver(handle, epoch), 5)?;
        Ok(displaced.into_iter().map(|(handle, _)| handle).collect())
    }

    #[test]
    fn five_read_side_by_side_and_a_sixth_is_refused() {
        let mut receivers = Receivers::default();
        for handle in 0..5 {
            assert_eq!(admit(&mut receivers, handle, None), Ok(vec![]));
        }
        let error = admit(&mut receivers, 5, None).unwrap_err();
        assert_eq!(error.condition, condition::RESOURCE_LIMIT_EXCEEDED);
        assert!(text(&error).contains("which is 5"));
        assert!(text(&error).contains("r0, r1, r2, r3, r4"));
        receivers.leave(&3);
        assert_eq!(admit(&mut receivers, 6, None), Ok(vec![]));
    }

    #[test]
    fn a_higher_or_equal_epoch_displaces() {
        let mut receivers = Receivers::default();
        assert_eq!(admit(&mut receivers, 1, Some(0)), Ok(vec![]));
        assert_eq!(admit(&mut receivers, 2, Some(0)), Ok(vec![1]), "equal steals too");
        assert_eq!(admit(&mut receivers, 3, Some(7)), Ok(vec![2]));
        let displaced = receivers.admit(receiver(4, Some(8)), 5).unwrap();
        let [(3, error)] = displaced.as_slice() else { panic!("{displaced:?}") };
        assert_eq!(error.condition, condition::LINK_STOLEN);
        assert!(text(error).starts_with(
            "New receiver 'r4' with higher epoch of '8' is created hence current receiver 'r3' \
             with epoch '7' is getting disconnected."
        ));
    }

    #[test]
    fn a_lower_epoch_is_refused() {
        let mut receivers = Receivers::default();
        assert_eq!(admit(&mut receivers, 1, Some(5)), Ok(vec![]));
        let error = admit(&mut receivers, 2, Some(2)).unwrap_err();
        assert_eq!(error.condition, condition::LINK_STOLEN);
        assert!(text(&error).starts_with(
            "Receiver 'r1' with a higher epoch '5' already exists. Receiver 'r2' with epoch 2 \
             cannot be created."
        ));
        receivers.leave(&1);
        assert_eq!(admit(&mut receivers, 2, Some(2)), Ok(vec![]), "only live ones count");
    }

    #[test]
    fn epochs_exclude_those_without() {
        let mut receivers = Receivers::default();
        assert_eq!(admit(&mut receivers, 1, None), Ok(vec![]));
        assert_eq!(admit(&mut receivers, 2, None), Ok(vec![]));
        assert_eq!(admit(&mut receivers, 3, Some(0)), Ok(vec![1, 2]));
        let error = admit(&mut receivers, 4, None).unwrap_err();
        assert_eq!(error.condition, condition::LINK_STOLEN);
        assert!(text(&error).contains("epoch of '0'"));
        receivers.leave(&3);
        assert_eq!(admit(&mut receivers, 4, None), Ok(vec![]));
    }
}
