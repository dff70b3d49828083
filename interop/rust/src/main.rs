//! The official Rust client, unmodified, against our emulator.
//!
//! ```text
//! eventhubs-interop-rust ASSIGNMENT
//! ```
//!
//! ASSIGNMENT is the JSON that `cargo xtask interop` passes to every runner; see
//! `interop/README.md`. Prints `ok NAME (SECONDS s)` or `FAIL NAME: reason` for each case and ends
//! with `N passed, M failed`.

mod assignment;
mod cases;
mod control;
mod cross;
mod receiving;
mod refusal;
mod runner;
mod world;

use std::io::Read;
use std::process::exit;

use assignment::Assignment;

/// What a case fails with: an assertion, or any error of the client.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() {
    // The runner ends with the process that started it, which holds the other end of its input.
    std::thread::spawn(|| {
        let mut input = std::io::stdin().lock();
        while matches!(input.read(&mut [0; 64]), Ok(count) if count > 0) {}
        exit(3);
    });
    // A failed assertion is one line of the result, and not a message of its own.
    std::panic::set_hook(Box::new(|_| {}));
    let text = std::env::args().nth(1).unwrap_or_default();
    let assignment: Assignment = match serde_json::from_str(&text) {
        Ok(assignment) => assignment,
        Err(error) => {
            println!("FAIL start: the assignment cannot be read: {error}\n0 passed, 1 failed");
            exit(2);
        }
    };
    exit(match runner::run(assignment).await {
        true => 0,
        false => 1,
    });
}
