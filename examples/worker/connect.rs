//! Where the workers find a hub: the one the environment names, or an emulator.

use std::error::Error;
use std::net::SocketAddr;

use eventhubs_client::Hub;
use eventhubs_emulator::{Config, DEFAULT_HUB, DEFAULT_KEY, DEFAULT_KEY_NAME, Emulator};

/// A hub, and the emulator behind it if this process runs one.
pub(crate) struct Connected {
    pub(crate) hub: Hub,
    pub(crate) emulator: Option<Emulator>,
}

/// The hub of `EVENTHUB_CONNECTION_STRING` (with `EVENTHUB_NAME` when it has no `EntityPath`), or
/// else one of an emulator at `listen`: a new one, or the one that another process has there.
pub(crate) async fn connect(
    listen: SocketAddr,
    partitions: u32,
) -> Result<Connected, Box<dyn Error + Send + Sync>> {
    if std::env::var_os("EVENTHUB_CONNECTION_STRING").is_some() {
        return Ok(Connected { hub: Hub::from_environment()?, emulator: None });
    }
    let config = Config::default().with_hub(DEFAULT_HUB, partitions).with_listen([listen]);
    let (text, emulator) = match Emulator::start(config).await {
        Ok(emulator) => (emulator.connection_string(), Some(emulator)),
        Err(_) => {
            let text = format!(
                "Endpoint=sb://{listen};SharedAccessKeyName={DEFAULT_KEY_NAME};\
                 SharedAccessKey={DEFAULT_KEY};UseDevelopmentEmulator=true"
            );
            (text, None)
        }
    };
    Ok(Connected { hub: Hub::from_connection_string_for(&text, DEFAULT_HUB)?, emulator })
}
