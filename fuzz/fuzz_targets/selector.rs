#![no_main]
//! The selector of a receiver: what was understood, written down, is understood alike.

use eventhubs_emulator::fuzzing;
use eventhubs_fuzz::frugal;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(understood) = frugal(data, || fuzzing::selector(text)) {
        assert_eq!(fuzzing::selector(&understood).as_ref(), Ok(&understood), "{text:?}");
    }
});
