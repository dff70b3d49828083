#![no_main]
//! Frame headers, protocol headers, and the two ways to read a transfer.

use eventhubs_amqp::codec::DeliveryState;
use eventhubs_amqp::codec::frame::{Header, ProtocolHeader};
use eventhubs_amqp::codec::performative::Performative;
use eventhubs_amqp::codec::transfer;
use eventhubs_fuzz::frugal;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(Some(header)) = ProtocolHeader::decode(data) {
        assert_eq!(header.encode(), data[..8]);
    }
    let body = match Header::decode(data) {
        Ok(Some(header)) => {
            assert!(header.size >= 8 && header.body_start() >= 8);
            assert!(header.body_start() <= header.size as usize);
            assert_eq!(header.within(512).is_ok(), header.size <= 512);
            header.body_start()
        }
        Ok(None) => {
            assert!(data.len() < 8);
            return;
        }
        Err(_) => 8,
    };
    let view = frugal(data, || transfer::decode(data, body));
    let whole = data.get(body..).map(Performative::decode);
    match (view, whole) {
        (Ok(view), Some(Ok((Performative::Transfer(whole), used)))) => {
            assert_eq!(view.payload as usize, body + used);
            assert_eq!(view.handle, whole.handle);
            assert_eq!(view.delivery_id, whole.delivery_id);
            let tag = &data[view.tag.0 as usize..][..usize::from(view.tag.1)];
            assert_eq!(tag, whole.delivery_tag.as_deref().unwrap_or_default());
            assert_eq!(view.message_format, whole.message_format);
            assert_eq!(view.settled, whole.settled);
            assert_eq!(view.rcv_settle_mode, whole.rcv_settle_mode);
            assert_eq!(
                (view.more, view.resume, view.aborted, view.has_state),
                (whole.more, whole.resume, whole.aborted, whole.state.is_some())
            );
        }
        (Ok(view), Some(Err(_))) => {
            // Only the state is not looked into by the short way.
            assert!(view.has_state);
            assert!((view.payload as usize) <= data.len());
        }
        (Ok(_), _) => panic!("a transfer that is none"),
        (Err(_), Some(Ok((Performative::Transfer(_), _)))) => panic!("a transfer not seen"),
        (Err(_), _) => {}
    }
    let _ = DeliveryState::decode(data);
});
