//! Descriptors of the composite types, as numbers and as symbols (domain 0x00000000 of the specification).

pub(crate) const OPEN: u64 = 0x10;
pub(crate) const BEGIN: u64 = 0x11;
pub(crate) const ATTACH: u64 = 0x12;
pub(crate) const FLOW: u64 = 0x13;
pub(crate) const TRANSFER: u64 = 0x14;
pub(crate) const DISPOSITION: u64 = 0x15;
pub(crate) const DETACH: u64 = 0x16;
pub(crate) const END: u64 = 0x17;
pub(crate) const CLOSE: u64 = 0x18;
pub(crate) const ERROR: u64 = 0x1d;
pub(crate) const RECEIVED: u64 = 0x23;
pub(crate) const ACCEPTED: u64 = 0x24;
pub(crate) const REJECTED: u64 = 0x25;
pub(crate) const RELEASED: u64 = 0x26;
pub(crate) const MODIFIED: u64 = 0x27;
pub(crate) const SOURCE: u64 = 0x28;
pub(crate) const TARGET: u64 = 0x29;
pub(crate) const COORDINATOR: u64 = 0x30;
pub(crate) const SASL_MECHANISMS: u64 = 0x40;
pub(crate) const SASL_INIT: u64 = 0x41;
pub(crate) const SASL_CHALLENGE: u64 = 0x42;
pub(crate) const SASL_RESPONSE: u64 = 0x43;
pub(crate) const SASL_OUTCOME: u64 = 0x44;
pub(crate) const HEADER: u64 = 0x70;
pub(crate) const DELIVERY_ANNOTATIONS: u64 = 0x71;
pub(crate) const MESSAGE_ANNOTATIONS: u64 = 0x72;
pub(crate) const PROPERTIES: u64 = 0x73;
pub(crate) const APPLICATION_PROPERTIES: u64 = 0x74;
pub(crate) const DATA: u64 = 0x75;
pub(crate) const SEQUENCE: u64 = 0x76;
pub(crate) const VALUE: u64 = 0x77;
pub(crate) const FOOTER: u64 = 0x78;

/// The number that stands for the same type as the symbol `name`.
pub(crate) fn by_name(name: &[u8]) -> Option<u64> {
    Some(match name {
        b"amqp:open:list" => OPEN,
        b"amqp:begin:list" => BEGIN,
        b"amqp:attach:list" => ATTACH,
        b"amqp:flow:list" => FLOW,
        b"amqp:transfer:list" => TRANSFER,
        b"amqp:disposition:list" => DISPOSITION,
        b"amqp:detach:list" => DETACH,
        b"amqp:end:list" => END,
        b"amqp:close:list" => CLOSE,
        b"amqp:error:list" => ERROR,
        b"amqp:received:list" => RECEIVED,
        b"amqp:accepted:list" => ACCEPTED,
        b"amqp:rejected:list" => REJECTED,
        b"amqp:released:list" => RELEASED,
        b"amqp:modified:list" => MODIFIED,
        b"amqp:source:list" => SOURCE,
        b"amqp:target:list" => TARGET,
        b"amqp:coordinator:list" => COORDINATOR,
        b"amqp:sasl-mechanisms:list" => SASL_MECHANISMS,
        b"amqp:sasl-init:list" => SASL_INIT,
        b"amqp:sasl-challenge:list" => SASL_CHALLENGE,
        b"amqp:sasl-response:list" => SASL_RESPONSE,
        b"amqp:sasl-outcome:list" => SASL_OUTCOME,
        b"amqp:header:list" => HEADER,
        b"amqp:delivery-annotations:map" => DELIVERY_ANNOTATIONS,
        b"amqp:message-annotations:map" => MESSAGE_ANNOTATIONS,
        b"amqp:properties:list" => PROPERTIES,
        b"amqp:application-properties:map" => APPLICATION_PROPERTIES,
        b"amqp:data:binary" => DATA,
        b"amqp:amqp-sequence:list" => SEQUENCE,
        b"amqp:amqp-value:*" => VALUE,
        b"amqp:footer:map" => FOOTER,
        _ => return None,
    })
}
