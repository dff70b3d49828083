//! The live view of the emulator in a real browser: is every hub, partition and link on it?
//!
//! `page [--screenshot FILE]`: starts an emulator in this process, connects clients to it, lets
//! headless Chromium load the page, and looks for all of them in what the browser made of it. Ends
//! with `N passed, M failed`.

#![forbid(unsafe_code)]

mod browser;
mod document;
mod visitors;

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use eventhubs_emulator::{Config, Emulator, HubConfig, ListenerKind, Snapshot};

use self::browser::Browser;
use self::document::{Document, Row};
use self::visitors::Visitors;

type Failure = Box<dyn Error + Send + Sync>;

/// Everything together, the start of a cold browser included; longer than this is a hang.
const DEADLINE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(Failure::from).and_then(|runtime| {
        runtime.block_on(async {
            tokio::time::timeout(DEADLINE, run())
                .await
                .map_err(|_| format!("not done within {} s", DEADLINE.as_secs()))?
        })
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stdout(), "FAIL page: {error}\n0 passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything was found.
async fn run() -> Result<bool, Failure> {
    let mut arguments = std::env::args().skip(1);
    let screenshot = match arguments.next().as_deref() {
        Some("--screenshot") => Some(PathBuf::from(arguments.next().ok_or("which file?")?)),
        Some(other) => return Err(format!("there is no option {other}").into()),
        None => None,
    };
    let browser = Browser::find()?;
    let config = Config::default()
        .with_hub_config(HubConfig::new("orders", 3).with_consumer_group("billing"))
        .with_hub("Telemetry.raw-1", 2)
        .with_http("127.0.0.1:0".parse()?);
    let emulator = Emulator::start(config).await?;
    let http = emulator.listeners().iter().find(|one| one.kind == ListenerKind::Http);
    let url = format!("http://{}/?refresh=0", http.ok_or("no HTTP port")?.address);

    let mut report = Report::default();
    let empty = Document::parse(&browser.load(&url).await?);
    report.note("an empty emulator says how to connect", {
        let text = empty.text();
        text.contains("SharedAccessKeyName=RootManageSharedAccessKey")
            && text.contains("SharedAccessKey=***")
            && !text.contains("SAS_KEY_VALUE")
    });
    let visitors = Visitors::come(&emulator.connection_string()).await?;
    let snapshot = visitors.settled(&emulator).await;
    let page = Document::parse(&browser.load(&url).await?);
    if let Some(file) = screenshot {
        browser.photograph(&url, &file).await?;
    }
    compare(&snapshot, &page, &mut report)?;
    report.note("the refused client is among the errors", page.text().contains("nowhere"));
    report.note(
        "what a client calls itself stays text",
        !page.has_element("evil") && page.text().contains(visitors::EVIL_NAME),
    );
    visitors.leave().await;
    emulator.shutdown().await;
    report.finish()
}

/// Looks for everything that the emulator holds.
fn compare(snapshot: &Snapshot, page: &Document, report: &mut Report) -> Result<(), Failure> {
    for hub in &snapshot.hubs {
        report.note(&format!("hub {}", hub.name), page.has_heading(&hub.name));
        for partition in &hub.partitions {
            let id = partition.number.to_string();
            let row = page.row(&[("data-hub", &hub.name), ("data-partition", &id)]);
            let is_empty = partition.events == 0;
            let first = (!is_empty).then_some(partition.begin_sequence);
            let last = Some(partition.last_sequence).filter(|last| *last >= 0);
            let found = row.is_some_and(|row| {
                row.says("first", first)
                    && row.says("last", last)
                    && row.says("events", Some(partition.events))
                    && row.says("receivers", Some(partition.receivers.len()))
                    && row.cell("per second").is_some()
            });
            report.note(&format!("partition {}/{id}", hub.name), found);
        }
    }
    let mut links = 0;
    for connection in &snapshot.connections {
        let name = connection.container_id.as_deref().unwrap_or_default();
        let number = connection.number;
        report.note(&format!("connection {number}"), page.has_heading(&format!("{number} {name}")));
        for link in &connection.links {
            links += 1;
            let row = page.row(&[("data-link", &link.name)]);
            let found = row.is_some_and(|row: &Row| {
                let what = row.cell("link").unwrap_or_default();
                what.contains(&format!(" {} ", link.address))
                    && what.ends_with(&link.name)
                    && row.says("epoch", link.epoch)
                    && row.says("credit", Some(link.credit))
                    && row.says("next", link.position)
                    && row.says("lag", link.lag)
                    && row.says("messages", link.messages)
            });
            report.note(&format!("link {number} {}", link.name), found);
        }
    }
    match snapshot.connections.len() >= 3 && links >= 6 {
        true => Ok(()),
        false => Err(format!("there were too few clients to look for: {snapshot:?}").into()),
    }
}

/// What was looked for.
#[derive(Default)]
struct Report {
    passed: u32,
    failed: u32,
}

impl Report {
    fn note(&mut self, what: &str, found: bool) {
        let word = match found {
            true => "ok  ",
            false => "FAIL",
        };
        self.passed += u32::from(found);
        self.failed += u32::from(!found);
        let _ = writeln!(io::stdout(), "{word} page: {what}");
    }

    fn finish(self) -> Result<bool, Failure> {
        writeln!(io::stdout(), "{} passed, {} failed", self.passed, self.failed)?;
        Ok(self.failed == 0)
    }
}
