//! A worker with an HTTP endpoint that tells how it is. `/healthz` is 200 while nothing is wrong,
//! and what to be alerted by; `/readyz` is 200 while the worker runs, and what an orchestrator
//! waits for. Otherwise they are 503; both tell state, partitions and problems as JSON. Neither is
//! a reason to kill a worker: it goes on trying, and a new one would find the same hub and store.
//!
//! `--demo` asks itself and ends; without it, look with `curl localhost:8082/healthz`. Runs on an
//! emulator in this process unless `EVENTHUB_CONNECTION_STRING` is set.
#![expect(clippy::print_stdout, reason = "an example talks to a person")]

mod connect;
mod ending;

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use connect::Connected;
use eventhubs_eph::{
    EventProcessorHost, Handler, Health, HostEvent, HostOptions, HostState, MemoryStore,
    PartitionHealth,
};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections that are answered at the same time; others wait.
const CONNECTIONS_MAX: usize = 16;

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Debug, Parser)]
struct Options {
    /// Where to answer
    #[arg(long, default_value = "127.0.0.1:8082")]
    listen: SocketAddr,
    /// Ask both questions before and after the start, print the answers, and end
    #[arg(long)]
    demo: bool,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let Connected { hub, emulator } = connect::connect(([127, 0, 0, 1], 0).into(), 4).await?;
    let store = Arc::new(MemoryStore::new());
    let checkpoints = Arc::clone(&store);
    let scan = Duration::from_secs(if options.demo { 1 } else { 10 });
    let of_host = HostOptions::default().with_scan(scan);
    let host = EventProcessorHost::new(hub, store, checkpoints, of_host)?;
    host.register_handler(Handler::each(|event, partition| async move {
        println!("partition {}: event {}", partition.id(), event.sequence_number());
        Ok(())
    }))?;
    let listener = TcpListener::bind(match options.demo {
        true => ([127, 0, 0, 1], 0).into(),
        false => options.listen,
    });
    let listener = listener.await?;
    let address = listener.local_addr()?;
    println!("http://{address}/healthz and http://{address}/readyz");
    let answering = answer_all(listener, host.clone());
    let working = async {
        match options.demo {
            true => ask(&host, address).await,
            false => {
                host.start_nonblocking()?;
                Ok(ending::told_to_end(false).await?)
            }
        }
    };
    // A worker that nobody can ask any more ends, and in order.
    let result = tokio::select! {
        result = working => result,
        result = answering => result,
    };
    host.close().await?;
    if let Some(emulator) = emulator {
        emulator.shutdown().await;
    }
    result
}

/// Answers everybody who connects, so many at a time.
async fn answer_all(listener: TcpListener, host: EventProcessorHost) -> Result<(), Failure> {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&room).acquire_owned().await?;
        let (stream, _) = listener.accept().await?;
        let host = host.clone();
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(|request| {
                let response = answer(&host, &request);
                async { Ok::<_, Infallible>(response) }
            });
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
            // Whoever breaks off or breaks a rule has only lost the answer.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn answer(host: &EventProcessorHost, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let health = host.health();
    let (status, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/healthz") => (status(health.is_ok()), told(&health)),
        (&Method::GET, "/readyz") => (status(is_ready(health.state)), told(&health)),
        (_, "/healthz" | "/readyz") => (StatusCode::METHOD_NOT_ALLOWED, Value::Null),
        _ => (StatusCode::NOT_FOUND, Value::Null),
    };
    let mut response = Response::new(Full::from(format!("{body:#}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn status(is_good: bool) -> StatusCode {
    match is_good {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Whether partitions are, or would be, processed: not before hub and store were reached, and not
/// while partitions are given back.
fn is_ready(state: HostState) -> bool {
    matches!(state, HostState::Running | HostState::Paused)
}

fn told(health: &Health) -> Value {
    let problems: Vec<String> = health.problems.iter().map(ToString::to_string).collect();
    json!({
        "ok": health.is_ok(),
        "state": health.state.to_string(),
        "sinceSeconds": health.since.as_secs(),
        "scanAgeSeconds": health.scan_age.map(|age| age.as_secs()),
        "partitions": health.partitions.iter().map(told_of).collect::<Vec<Value>>(),
        "problems": problems,
    })
}

fn told_of(partition: &PartitionHealth) -> Value {
    json!({
        "id": partition.partition.to_string(),
        "stage": partition.stage.to_string(),
        "ownerLevel": partition.owner_level.as_i64(),
        "renewedSecondsAgo": partition.last_renewed_ago.as_secs(),
        "fenceInSeconds": partition.fence_in.as_secs(),
        "lagEvents": partition.lag_events,
        "lagSeconds": partition.lag_time.map(|lag| lag.as_secs()),
        "handlerRunningForSeconds": partition.handler_running_for.map(|time| time.as_secs()),
        "failures": partition.failures,
    })
}

/// The demonstration: what is answered before the start, and what when the worker runs.
async fn ask(host: &EventProcessorHost, address: SocketAddr) -> Result<(), Failure> {
    for path in ["/healthz", "/readyz"] {
        let answer = get(address, path).await?;
        println!("\nbefore the start, GET {path}\n{answer}");
        expect(answer.starts_with("HTTP/1.1 503 "), &answer)?;
    }
    let mut events = host.host_events();
    host.start_nonblocking()?;
    while let Some(event) = events.next().await {
        if matches!(event, HostEvent::Acquired { .. }) {
            break;
        }
    }
    for path in ["/healthz", "/readyz"] {
        let answer = get(address, path).await?;
        println!("\nrunning, GET {path}\n{answer}");
        expect(answer.starts_with("HTTP/1.1 200 "), &answer)?;
    }
    let answer = get(address, "/elsewhere").await?;
    expect(answer.starts_with("HTTP/1.1 404 "), &answer)
}

async fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn expect(holds: bool, answer: &str) -> Result<(), Failure> {
    match holds {
        true => Ok(()),
        false => Err(format!("that was not expected: {answer}").into()),
    }
}
