//! What the service says of a hub and of each of its partitions.
#![expect(clippy::print_stdout, reason = "an example talks to a person")]

mod connect;

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let connected = connect::connect("127.0.0.1:0").await?;
    let hub = &connected.hub;
    hub.send("one event to see").await?;

    let information = hub.runtime_information().await?;
    match information.created_at {
        Some(created) => println!("hub {}, created {created}", information.name),
        None => println!("hub {}", information.name),
    }
    println!("{:>9} {:>12} {:>12} {:>12}  last enqueued", "partition", "first", "last", "offset");
    for partition in information.partition_ids {
        let partition = hub.partition_runtime_information(partition).await?;
        let offset = partition.last_enqueued_offset.map(|offset| offset.to_string());
        let time = partition.last_enqueued_time.map(|time| time.to_string());
        println!(
            "{:>9} {:>12} {:>12} {:>12}  {}",
            partition.partition_id.to_string(),
            partition.begin_sequence_number.to_string(),
            partition.last_enqueued_sequence_number.to_string(),
            offset.unwrap_or_else(|| "-".to_owned()),
            time.unwrap_or_else(|| "never".to_owned()),
        );
    }
    connected.close().await;
    Ok(())
}
