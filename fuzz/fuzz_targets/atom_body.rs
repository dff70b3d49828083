#![no_main]
//! The body of a request that creates or changes a hub or a consumer group.

use eventhubs_emulator::fuzzing;
use eventhubs_fuzz::frugal;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    match frugal(data, || fuzzing::atom_body(data)) {
        // Nothing is expanded, so nothing is much longer than what was sent.
        Ok(shown) => assert!(shown.len() <= 256 + 12 * data.len(), "{} bytes", shown.len()),
        Err(problem) => assert!(!problem.is_empty()),
    }
});
