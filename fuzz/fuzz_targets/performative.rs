#![no_main]
//! Bodies of AMQP and SASL frames.

use bytes::BytesMut;
use eventhubs_amqp::codec::performative::Performative;
use eventhubs_amqp::codec::{DecodeErrorKind, FieldList, sasl};
use eventhubs_fuzz::frugal;
use libfuzzer_sys::fuzz_target;

fn encoded(performative: &Performative, fields: FieldList) -> BytesMut {
    let mut out = BytesMut::new();
    performative.encode(fields, &mut out);
    out
}

fuzz_target!(|data: &[u8]| {
    if let Ok((performative, used)) = frugal(data, || Performative::decode(data)) {
        assert!(used <= data.len());
        for fields in [FieldList::Full, FieldList::Trimmed] {
            let bytes = encoded(&performative, fields);
            match Performative::decode(&bytes) {
                // By their bytes, since a NaN somewhere inside would not equal itself.
                Ok((again, used)) => {
                    assert_eq!(used, bytes.len());
                    assert_eq!(encoded(&again, fields), bytes);
                }
                // Shorter bytes are allowed fewer values.
                Err(error) => assert_eq!(error.kind, DecodeErrorKind::Count),
            }
        }
    }
    if let Ok(frame) = frugal(data, || sasl::Frame::decode(data)) {
        for fields in [FieldList::Full, FieldList::Trimmed] {
            let mut bytes = BytesMut::new();
            frame.encode(fields, &mut bytes);
            assert_eq!(sasl::Frame::decode(&bytes).as_ref(), Ok(&frame));
        }
    }
});
