//! The cases of a dialler: each has a connection of its own.

use std::time::Duration;

use eventhubs_amqp::codec::performative::SenderSettleMode;
use eventhubs_amqp::codec::{AmqpError, Symbol, condition};
use eventhubs_amqp::engine::{CloseReason, Sasl};
use eventhubs_amqp::net::{
    Connection, ConnectionOptions, Endpoint, ErrorKind, LinkClosed, Receiver, ReceiverOptions,
    Sender, SenderOptions,
};

use crate::node::{CLOSED, CLOSED_TEXT, FEW, MISSING_TEXT};
use crate::settings::Settings;
use crate::{Failure, flow, say};

/// A case that takes longer hangs.
const CASE_TIMEOUT: Duration = Duration::from_secs(150);
/// Messages of a link that gets every outcome, several times over.
const OUTCOMES: u32 = 40;
/// How often links are attached and detached on one connection.
const ROUNDS: u32 = 50;
/// Links of a connection at the same time, each way.
const LINKS: u32 = 40;
/// Silence that either end announces it will not bear for longer than twice.
const IDLE: Duration = Duration::from_secs(1);
/// How long nobody says anything: with no heartbeats either end would give up.
const SILENCE: Duration = Duration::from_millis(3_500);

/// The name and password that the listener knows, and those it does not.
const USER: (&str, &str) = ("guest", "let me in");

const CASES: &[&str] = &[
    "settled",
    "unsettled",
    "no-sasl",
    "outcomes",
    "refused",
    "leaving",
    "closing",
    "closed",
    "reused",
    "many",
    "idle",
];
/// Only for a listener that knows users.
const USER_CASES: &[&str] = &["user", "wrong-password"];

/// Runs every case in turn.
pub(crate) async fn run_all(settings: Settings) -> Result<(), Failure> {
    let users = if settings.user.is_some() { USER_CASES } else { &[] };
    for name in CASES.iter().chain(users) {
        if settings.small && *name == "idle" {
            continue;
        }
        let outcome = match tokio::time::timeout(CASE_TIMEOUT, run(name, &settings)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("not done within {} s", CASE_TIMEOUT.as_secs()).into()),
        };
        match outcome {
            Ok(()) => say(&format!("ok {name}")),
            Err(error) => {
                let reason = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
                say(&format!("FAIL {name}: {reason}"));
            }
        }
    }
    say("done");
    Ok(())
}

async fn run(name: &str, settings: &Settings) -> Result<(), Failure> {
    let case = Case { name, settings };
    match name {
        "settled" => case.both_ways(Sasl::Anonymous, SenderSettleMode::Settled).await,
        "unsettled" => case.both_ways(Sasl::Anonymous, SenderSettleMode::Unsettled).await,
        "no-sasl" => case.few(Sasl::None).await,
        "outcomes" => case.outcomes().await,
        "refused" => case.refused().await,
        "leaving" => case.leaving().await,
        "closing" => case.closing().await,
        "closed" => case.closed().await,
        "reused" => case.reused().await,
        "many" => case.many().await,
        "idle" => case.idle().await,
        "user" => case.few(plain(USER.1)).await,
        "wrong-password" => case.wrong_password().await,
        _ => Err("no such case".into()),
    }
}

fn plain(password: &str) -> Sasl {
    Sasl::Plain { user: USER.0.to_owned(), password: password.to_owned() }
}

struct Case<'a> {
    name: &'a str,
    settings: &'a Settings,
}

impl Case<'_> {
    async fn dial(&self, sasl: Sasl) -> Result<Connection, eventhubs_amqp::net::Error> {
        self.dial_with(self.settings.dialler(sasl)).await
    }

    async fn dial_with(
        &self,
        options: ConnectionOptions,
    ) -> Result<Connection, eventhubs_amqp::net::Error> {
        let endpoint = Endpoint::plain(self.settings.host.clone(), self.settings.port);
        Connection::dial(&endpoint, options).await
    }

    fn sender(&self, address: &str, settle_mode: SenderSettleMode) -> SenderOptions {
        let target = SenderOptions::to(address).target;
        SenderOptions { target, settle_mode, ..self.settings.sender() }
    }

    fn receiver(&self, address: &str, settle_mode: SenderSettleMode) -> ReceiverOptions {
        let source = ReceiverOptions::from(address).source;
        ReceiverOptions { source, settle_mode, ..self.settings.receiver() }
    }

    /// Ends a connection on which all went well.
    async fn close(&self, connection: Connection) -> Result<(), Failure> {
        match connection.close(None).await {
            CloseReason::Local => Ok(()),
            other => Err(format!("the close ended with: {other}").into()),
        }
    }

    /// A long run each way, both at once.
    async fn both_ways(&self, sasl: Sasl, mode: SenderSettleMode) -> Result<(), Failure> {
        let connection = self.dial(sasl).await?;
        let (to, from) = (format!("sink/{}", self.name), format!("source/{}", self.name));
        let sender = connection.sender(self.sender(&to, mode)).await?;
        let mut receiver = connection.receiver(self.receiver(&from, mode)).await?;
        let count = self.settings.count;
        let settled = mode == SenderSettleMode::Settled;
        let (sent, received) = tokio::try_join!(
            flow::send(&sender, count),
            flow::receive(&mut receiver, count, settled),
        )?;
        say(&format!("fact sent {to} {}", sent.shown()));
        say(&format!("fact received {from} {}", received.shown()));
        left(sender.detach().await)?;
        left(receiver.detach().await)?;
        self.close(connection).await
    }

    /// A few messages each way.
    async fn few(&self, sasl: Sasl) -> Result<(), Failure> {
        let connection = self.dial(sasl).await?;
        self.few_on(&connection, self.name).await?;
        self.close(connection).await
    }

    async fn few_on(&self, connection: &Connection, label: &str) -> Result<(), Failure> {
        let mode = SenderSettleMode::Unsettled;
        let (to, from) = (format!("sink/{label}/{FEW}"), format!("source/{label}/{FEW}"));
        let (sender, mut receiver) = tokio::try_join!(
            connection.sender(self.sender(&to, mode)),
            connection.receiver(self.receiver(&from, mode)),
        )?;
        let (sent, received) =
            tokio::try_join!(flow::send(&sender, FEW), flow::receive(&mut receiver, FEW, false),)?;
        say(&format!("fact sent {to} {}", sent.shown()));
        say(&format!("fact received {from} {}", received.shown()));
        left(sender.detach().await)?;
        left(receiver.detach().await)
    }

    /// Every outcome, both ways.
    async fn outcomes(&self) -> Result<(), Failure> {
        let connection = self.dial(Sasl::Anonymous).await?;
        let to = format!("outcomes/{}/{OUTCOMES}", self.name);
        let mode = SenderSettleMode::Unsettled;
        let sender = connection.sender(self.sender(&to, mode)).await?;
        let sent = flow::send_for_outcomes(&sender, OUTCOMES).await?;
        say(&format!("fact sent {to} {}", sent.shown()));
        left(sender.detach().await)?;
        let options = ReceiverOptions { auto_accept: false, ..self.receiver(&to, mode) };
        let mut receiver = connection.receiver(options).await?;
        let received = flow::receive_with_outcomes(&mut receiver, OUTCOMES).await?;
        say(&format!("fact received {to} {}", received.shown()));
        left(receiver.detach().await)?;
        self.close(connection).await
    }

    /// A node that does not exist, and the connection goes on.
    async fn refused(&self) -> Result<(), Failure> {
        let connection = self.dial(Sasl::Anonymous).await?;
        let due = AmqpError::new(condition::NOT_FOUND, MISSING_TEXT);
        let mode = SenderSettleMode::Unsettled;
        let sender = connection.sender(self.sender("missing", mode)).await.map(drop);
        let receiver = connection.receiver(self.receiver("missing", mode)).await.map(drop);
        for refused in [sender, receiver] {
            let error = refused.err().ok_or("attached to a node that is missing")?;
            match error.kind() {
                ErrorKind::Detached(LinkClosed::Remote(Some(error))) if *error == due => {}
                other => return Err(format!("{due} was due, not {other}").into()),
            }
        }
        self.few_on(&connection, self.name).await?;
        self.close(connection).await
    }

    /// The other end detaches with an error, in the middle, and the connection goes on.
    async fn leaving(&self) -> Result<(), Failure> {
        let connection = self.dial(Sasl::Anonymous).await?;
        let (mode, node) = (SenderSettleMode::Unsettled, format!("leaving/{}", self.name));
        let due = AmqpError::new(Symbol::from_static("test:leaving"), "ten were enough");
        let due = LinkClosed::Remote(Some(due));
        let sender: Sender = connection.sender(self.sender(&node, mode)).await?;
        let sent = flow::send(&sender, FEW).await?;
        say(&format!("fact sent {node} {}", sent.shown()));
        let closed = sender.closed().await;
        let mut receiver: Receiver = connection.receiver(self.receiver(&node, mode)).await?;
        let received = flow::receive(&mut receiver, FEW, false).await?;
        say(&format!("fact received {node} {}", received.shown()));
        for closed in [closed, flow::detached(&mut receiver).await?] {
            if closed != due {
                return Err(format!("{due} was due, not {closed}").into());
            }
        }
        self.few_on(&connection, self.name).await?;
        self.close(connection).await
    }

    /// The other end closes the connection with an error.
    async fn closing(&self) -> Result<(), Failure> {
        let connection = self.dial(Sasl::Anonymous).await?;
        let node = format!("closing/{}", self.name);
        let sender = connection.sender(self.sender(&node, SenderSettleMode::Unsettled)).await?;
        let sent = flow::send(&sender, FEW).await?;
        say(&format!("fact sent {node} {}", sent.shown()));
        let due = AmqpError::new(Symbol::from_static(CLOSED), CLOSED_TEXT);
        match connection.closed().await {
            CloseReason::Remote(Some(error)) if error == due => Ok(()),
            other => Err(format!("a close with {due} was due, not {other}").into()),
        }
    }

    /// We close the connection with an error; the other end prints what it saw.
    async fn closed(&self) -> Result<(), Failure> {
        let connection = self.dial(Sasl::Anonymous).await?;
        self.few_on(&connection, self.name).await?;
        let error = AmqpError::new(Symbol::from_static("test:done"), "all is done");
        match connection.close(Some(error)).await {
            CloseReason::Local => Ok(()),
            other => Err(format!("the close ended with: {other}").into()),
        }
    }

    /// Links one after the other, so that handles and channels are used again.
    async fn reused(&self) -> Result<(), Failure> {
        let connection = self.dial(Sasl::Anonymous).await?;
        for round in 0..ROUNDS {
            self.few_on(&connection, &format!("{}-{round}", self.name)).await?;
        }
        self.close(connection).await
    }

    /// Many links at once.
    async fn many(&self) -> Result<(), Failure> {
        let connection = self.dial(Sasl::Anonymous).await?;
        let labels: Vec<String> = (0..LINKS).map(|link| format!("{}-{link}", self.name)).collect();
        let mut runs: Vec<_> =
            labels.iter().map(|label| Box::pin(self.few_on(&connection, label))).collect();
        for run in join_all(&mut runs).await {
            run?;
        }
        drop(runs);
        self.close(connection).await
    }

    /// Nobody says anything for longer than either end bears; heartbeats keep it open.
    async fn idle(&self) -> Result<(), Failure> {
        let mut options = self.settings.dialler(Sasl::Anonymous);
        options.engine.idle_time_out = Some(IDLE);
        let connection = self.dial_with(options).await?;
        if let Ok(reason) = tokio::time::timeout(SILENCE, connection.closed()).await {
            return Err(format!("the connection did not last: {reason}").into());
        }
        self.few_on(&connection, self.name).await?;
        self.close(connection).await
    }

    async fn wrong_password(&self) -> Result<(), Failure> {
        match self.dial(plain("guess")).await {
            Ok(_) => Err("a wrong password was let in".into()),
            Err(error) if matches!(error.kind(), ErrorKind::Closed(CloseReason::Sasl(_))) => Ok(()),
            Err(error) => Err(format!("a refusal by SASL was due, not: {error}").into()),
        }
    }
}

fn left(closed: LinkClosed) -> Result<(), Failure> {
    match closed {
        LinkClosed::Local => Ok(()),
        other => Err(format!("the detach ended with: {other}").into()),
    }
}

/// Runs all of `futures` at once.
async fn join_all<F: Future + Unpin>(futures: &mut [F]) -> Vec<F::Output> {
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        let mut done = true;
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none() {
                match std::pin::Pin::new(future).poll(cx) {
                    std::task::Poll::Ready(value) => *output = Some(value),
                    std::task::Poll::Pending => done = false,
                }
            }
        }
        if done { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    outputs.into_iter().flatten().collect()
}
