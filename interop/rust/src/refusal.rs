//! What an error of the client says about the reason.

use std::error::Error;

use azure_core_amqp::AmqpError;
use azure_core_amqp::error::{AmqpErrorCondition, AmqpErrorKind};
use azure_messaging_eventhubs::EventHubsError;
use azure_messaging_eventhubs::error::ErrorKind;

/// The condition that the service gave, however deep in the error it stands.
pub(crate) fn condition(error: &EventHubsError) -> Option<&AmqpErrorCondition> {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(amqp) = error.downcast_ref::<AmqpError>() {
            if let AmqpErrorKind::AmqpDescribedError(described) = amqp.kind() {
                return Some(&described.condition);
            }
        }
        cause = error.source();
    }
    None
}

/// The status with which a request on `$cbs` or `$management` was refused.
pub(crate) fn status(error: &EventHubsError) -> Option<u16> {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(amqp) = error.downcast_ref::<AmqpError>() {
            if let AmqpErrorKind::ManagementStatusCode(status, _) = amqp.kind() {
                return Some((*status).into());
            }
        }
        cause = error.source();
    }
    None
}

/// Whether this is the client's own error for a receiver that was displaced.
pub(crate) fn is_displaced(error: &EventHubsError) -> bool {
    matches!(&error.kind, ErrorKind::ConsumerDisconnected(Some(described))
        if described.condition == AmqpErrorCondition::LinkStolen)
}
