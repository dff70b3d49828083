//! A frame trace shows every frame and no secret.
#![cfg(feature = "wire-trace")]

use std::io;
use std::sync::{Arc, Mutex};

use eventhubs_client::{Destination, Hub, ReceiveOptions};
use eventhubs_emulator::{Config, DEFAULT_HUB, Emulator};
use tracing_subscriber::fmt::MakeWriter;

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics with it").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

const KEY: &str = "canary-key-0123456789";

#[tokio::test]
async fn a_trace_shows_frames_and_no_secret() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    // The current-thread runtime keeps every task on this thread.
    let guard = tracing::subscriber::set_default(subscriber);

    let config = Config::default().with_key("canary", KEY);
    let emulator = Emulator::start(config).await.expect("a free port");
    let address = emulator.addresses()[0];
    let text = format!(
        "Endpoint=sb://{address};SharedAccessKeyName=canary;SharedAccessKey={KEY};\
         UseDevelopmentEmulator=true"
    );
    let hub = Hub::from_connection_string_for(&text, DEFAULT_HUB).expect("it is valid");
    hub.send("a body that is nobody's business").await.expect("accepted");
    let partition = hub.runtime_information().await.expect("answered").partition_ids[0];
    let batch = hub.create_batch(Destination::Any).await.expect("attached");
    hub.send_batch(batch).await.expect("nothing to send");
    let events = hub.events(partition, ReceiveOptions::default()).await.expect("attached");
    events.close().await;
    hub.close().await;
    emulator.shutdown().await;
    drop(guard);

    let bytes = log.0.lock().expect("nobody panics with it").clone();
    let text = String::from_utf8(bytes).expect("text");
    for frame in ["Open", "Begin", "Attach", "Flow", "Disposition", "Detach", "Close"] {
        assert!(text.contains(frame), "{frame} is missing from the trace");
    }
    for secret in [KEY, "SharedAccessSignature", "&sig=", "sig%3d", "nobody's business"] {
        assert!(!text.contains(secret), "the trace shows {secret}");
    }
}
