#![no_main]
//! A fault as the control port takes it: what is accepted, written down, is the same fault.

use eventhubs_emulator::Fault;
use eventhubs_fuzz::frugal;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(fault) = frugal(data, || serde_json::from_slice::<Fault>(data)) else { return };
    let text = serde_json::to_string(&fault).expect("a fault can be written");
    assert_eq!(serde_json::from_str::<Fault>(&text).ok().as_ref(), Some(&fault), "{text}");
});
