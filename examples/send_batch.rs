//! Sends a thousand events in as few batches as they fit into: what does not fit any more comes
//! back and goes into the next one.
#![expect(clippy::print_stdout, reason = "an example talks to a person")]

mod connect;

use std::error::Error;

use eventhubs_client::{Destination, EventData, TryAddError};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let connected = connect::connect("127.0.0.1:0").await?;
    let hub = &connected.hub;
    let mut batch = hub.create_batch(Destination::Any).await?;
    for number in 0..1000 {
        let mut body = format!("event {number} ").into_bytes();
        body.resize(4096, b'.');
        let event = EventData::new(body).with_property("number", number);
        match batch.try_add(event) {
            Ok(()) => {}
            Err(TryAddError::Full(event)) => {
                println!("sending {} events, {} bytes", batch.count(), batch.size_bytes());
                hub.send_batch(batch).await?;
                batch = hub.create_batch(Destination::Any).await?;
                batch.try_add(event)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    println!("sending {} events, {} bytes", batch.count(), batch.size_bytes());
    hub.send_batch(batch).await?;
    connected.close().await;
    Ok(())
}
