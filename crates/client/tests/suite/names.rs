//! Where the host's name leads: asked for anew with every connection, of whom the options say.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eventhubs_client::{Hub, HubOptions, Resolver, Resolving};
use eventhubs_emulator::{Config, Emulator};

/// Knows one name, which leads where it is told.
#[derive(Debug)]
struct Names {
    leads: Mutex<SocketAddr>,
    asked: AtomicUsize,
}

impl Resolver for Names {
    fn resolve<'a>(&'a self, host: &'a str, _port: u16) -> Resolving<'a> {
        assert_eq!(host, "one.example");
        self.asked.fetch_add(1, Ordering::Relaxed);
        let address = *self.leads.lock().expect("no panic");
        Box::pin(async move { Ok(vec![address]) })
    }
}

#[tokio::test]
async fn n16_a_name_that_leads_elsewhere_is_followed_by_the_next_connection() {
    let first = Emulator::start(Config::default()).await.expect("a free port");
    let second = Emulator::start(Config::default()).await.expect("a free port");
    let names = std::sync::Arc::new(Names {
        leads: Mutex::new(first.addresses()[0]),
        asked: AtomicUsize::new(0),
    });
    let resolver: std::sync::Arc<dyn Resolver> = std::sync::Arc::<Names>::clone(&names);
    let text = "Endpoint=sb://one.example;SharedAccessKeyName=RootManageSharedAccessKey;\
        SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true";
    let options = HubOptions::default().with_resolver(resolver);
    let hub = Hub::from_connection_string_with(text, Some("hub"), options).expect("it is valid");
    hub.send("to the first").await.expect("it is there");
    assert_eq!(names.asked.load(Ordering::Relaxed), 1, "links share a connection");

    *names.leads.lock().expect("no panic") = second.addresses()[0];
    first.shutdown().await;
    // What is sent while the end of the connection is on its way here may fail.
    let sent = async { while hub.send("to the second").await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(30), sent).await.expect("the second takes it");
    assert!(names.asked.load(Ordering::Relaxed) >= 2);
    hub.close().await;
    second.shutdown().await;
}
