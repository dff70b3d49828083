//! Error conditions the specification defines (parts 2.8.15 to 2.8.18).

use super::Symbol;

macro_rules! conditions {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: Symbol = Symbol::from_static($text);)*
    };
}

conditions! {
    /// An internal error. The peer may have to be told what it was out of band.
    INTERNAL_ERROR = "amqp:internal-error";
    /// No such entity.
    NOT_FOUND = "amqp:not-found";
    /// The peer may not do that.
    UNAUTHORIZED_ACCESS = "amqp:unauthorized-access";
    /// Data could not be decoded.
    DECODE_ERROR = "amqp:decode-error";
    /// A resource limit of the peer was exceeded.
    RESOURCE_LIMIT_EXCEEDED = "amqp:resource-limit-exceeded";
    /// The peer tried to do something its state does not allow.
    NOT_ALLOWED = "amqp:not-allowed";
    /// A field has a value it must not have.
    INVALID_FIELD = "amqp:invalid-field";
    /// What was asked for is not implemented.
    NOT_IMPLEMENTED = "amqp:not-implemented";
    /// The entity is used by someone else.
    RESOURCE_LOCKED = "amqp:resource-locked";
    /// A precondition is not met.
    PRECONDITION_FAILED = "amqp:precondition-failed";
    /// The entity was deleted while it was in use.
    RESOURCE_DELETED = "amqp:resource-deleted";
    /// The peer sent a frame its state does not permit.
    ILLEGAL_STATE = "amqp:illegal-state";
    /// The frame is smaller than it must be to be encoded.
    FRAME_SIZE_TOO_SMALL = "amqp:frame-size-too-small";
    /// An operator closed the connection for some reason; try again later.
    CONNECTION_FORCED = "amqp:connection:forced";
    /// A frame is not well-formed.
    FRAMING_ERROR = "amqp:connection:framing-error";
    /// The container moved elsewhere; where is told in the information map.
    CONNECTION_REDIRECT = "amqp:connection:redirect";
    /// More transfers than the incoming window allows.
    WINDOW_VIOLATION = "amqp:session:window-violation";
    /// Input for a link that was attached wrongly.
    ERRANT_LINK = "amqp:session:errant-link";
    /// The handle is already attached.
    HANDLE_IN_USE = "amqp:session:handle-in-use";
    /// The handle is not attached.
    UNATTACHED_HANDLE = "amqp:session:unattached-handle";
    /// An operator detached the link for some reason.
    DETACH_FORCED = "amqp:link:detach-forced";
    /// More transfers than the link's credit.
    TRANSFER_LIMIT_EXCEEDED = "amqp:link:transfer-limit-exceeded";
    /// A message larger than the link allows.
    MESSAGE_SIZE_EXCEEDED = "amqp:link:message-size-exceeded";
    /// The address moved elsewhere; where is told in the information map.
    LINK_REDIRECT = "amqp:link:redirect";
    /// Another link of the same name was attached.
    LINK_STOLEN = "amqp:link:stolen";
}
