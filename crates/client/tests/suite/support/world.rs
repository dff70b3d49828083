//! An emulator at a name of a network in memory, and a hub on it with the defaults of everybody.

use std::time::Duration;

use eventhubs_client::{Error, Hub, HubOptions};
use eventhubs_emulator::{Config, DEFAULT_HUB, Emulator, HubConfig, Network};
use tokio::time::Instant;

use super::within_paused;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOST: &str = "one.example";

/// An emulator that is reached by a name, and a hub on it with the defaults of everybody.
pub(crate) struct World {
    pub(crate) network: Network,
    pub(crate) emulator: Emulator,
    pub(crate) hub: Hub,
}

pub(crate) async fn emulator() -> Emulator {
    let hub = HubConfig::new(DEFAULT_HUB, 32);
    Emulator::start(Config::default().with_hub_config(hub).in_memory()).await.expect("it starts")
}

/// The emulator's own key, at a name of the network.
fn text() -> String {
    format!(
        "Endpoint=sb://{HOST};SharedAccessKeyName=RootManageSharedAccessKey;\
         SharedAccessKey=SAS_KEY_VALUE;EntityPath={DEFAULT_HUB};UseDevelopmentEmulator=true"
    )
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(HubOptions::default()).await
    }

    pub(crate) async fn with(options: HubOptions) -> Self {
        let (network, emulator) = (Network::new(), emulator().await);
        network.point(HOST, &emulator);
        let options = options.with_connector(network.connector());
        let hub = Hub::from_connection_string_with(&text(), None, options).expect("it is valid");
        Self { network, emulator, hub }
    }

    /// Whether a question is answered, and after how long.
    pub(crate) async fn ask(&self) -> (Result<(), Error>, Duration) {
        let start = Instant::now();
        let answer = within_paused(self.hub.runtime_information()).await.map(drop);
        (answer, start.elapsed())
    }

    /// It is answered, after no more than `limit`.
    pub(crate) async fn answers_within(&self, limit: Duration) {
        let (answer, took) = self.ask().await;
        answer.expect("answered");
        assert!(took <= limit, "{took:?}");
    }
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) async fn pass(time: Duration) {
    let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
}
