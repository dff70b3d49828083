#![no_main]
//! `Config.json` of the vendor's emulator: what is accepted can be served as far as its limits go.

use eventhubs_emulator::Config;
use eventhubs_fuzz::frugal;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match frugal(data, || Config::from_json(text)) {
        Ok(read) => {
            read.config.validate().expect("what was accepted is valid");
            assert!(read.config.hubs.len() <= 10);
            assert!(read.config.hubs.iter().all(|hub| (1..=32).contains(&hub.partitions)));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
