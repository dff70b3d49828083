//! Prints the events of every partition as they come, until Ctrl-C. Start `producer` in another
//! terminal to send some. Without `EVENTHUB_CONNECTION_STRING` the two share an emulator on its
//! usual port.
#![expect(clippy::print_stdout, reason = "an example talks to a person")]

mod connect;

use std::convert::Infallible;
use std::error::Error;

use eventhubs_client::{ReceiveOptions, StartPosition};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let connected = connect::connect("127.0.0.1:5672").await?;
    let hub = &connected.hub;
    let information = hub.runtime_information().await?;
    let mut listeners = Vec::new();
    for partition in information.partition_ids {
        let options = ReceiveOptions::default().with_start(StartPosition::latest());
        let listener = hub.receive(partition, options, move |event| async move {
            let body = String::from_utf8_lossy(event.body());
            println!("partition {partition}, {}: {body}", event.sequence_number());
            Ok::<_, Infallible>(())
        });
        listeners.push(listener.await?);
    }
    println!("listening on {} partitions of {}; end with Ctrl-C", listeners.len(), hub.name());
    tokio::signal::ctrl_c().await?;
    for listener in &listeners {
        listener.close().await;
        if let Some(error) = listener.err() {
            println!("partition {}: {error}", listener.partition());
        }
    }
    connected.close().await;
    Ok(())
}
