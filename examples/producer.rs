//! Each line of the standard input becomes an event. Start `consumer` in another terminal to see
//! them. Without `EVENTHUB_CONNECTION_STRING` the two share an emulator on its usual port.
#![expect(clippy::print_stdout, reason = "an example talks to a person")]

mod connect;

use std::error::Error;

use tokio::io::{AsyncBufReadExt, BufReader, stdin};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let connected = connect::connect("127.0.0.1:5672").await?;
    println!("sending to {}; end with Ctrl-D", connected.hub.name());
    let mut lines = BufReader::new(stdin()).lines();
    let mut sent = 0_u64;
    while let Some(line) = lines.next_line().await? {
        connected.hub.send(line).await?;
        sent += 1;
    }
    println!("{sent} events sent");
    if connected.emulator.is_some() {
        println!("the emulator ends with this program; end with Ctrl-C");
        tokio::signal::ctrl_c().await?;
    }
    connected.close().await;
    Ok(())
}
