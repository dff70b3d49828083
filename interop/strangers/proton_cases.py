"""The cases of qpid-proton as the dialler. Each is a generator: it yields what it waits for."""

import time

from proton import Condition, Endpoint, Link
from proton.reactor import Container

from proton_peer import (
    DRAINED,
    FEW,
    IDLE_SECONDS,
    SMALL_FRAME,
    SMALL_WINDOW,
    Peer,
    ReceiveRun,
    SendRun,
    say,
    shown,
)

# A case that takes longer hangs.
CASE_SECONDS = 150
# How long nobody says anything: with no heartbeats either end would give up.
SILENCE_SECONDS = 3.5
# Messages of a link that gets every outcome, several times over.
OUTCOMES = 40
# How often links are attached and detached on one connection, and how many are there at once.
ROUNDS, LINKS = 50, 40
# The user that the listener knows.
USER, PASSWORD = "guest", "let me in"
# What is granted to a node that has less.
DRAIN_CREDIT = 20


class Dialler(Peer):
    """Runs the cases one after the other."""

    def __init__(self, settings):
        super().__init__(settings)
        self.container = Container(self)
        self.container.container_id = "proton"
        # The reactor looks in at least this often, for the deadline of a case.
        self.container.timeout = 0.2

    def run(self):
        """Runs every case."""
        self.container.start()
        # A selectable of our own would do too; without any the reactor thinks that all is done.
        self.container.schedule(CASE_SECONDS * 100, self)
        for case in CASES:
            if self.settings.small and case is idle:
                continue
            self.failure = None
            try:
                self.run_case(case)
                say(f"ok {case.__name__.replace('_', '-')}")
            except AssertionError as error:
                reason = " ".join(str(error).split())
                say(f"FAIL {case.__name__.replace('_', '-')}: {reason}")
        say("done")

    def run_case(self, case):
        """Drives one case to its end."""
        self.connection = None
        self.transport_error = None
        deadline = time.monotonic() + CASE_SECONDS
        label = case.__name__.replace("_", "-")
        for condition in case(self, label):
            while not condition():
                self.check(deadline)
                self.container.process()
        if self.connection is not None and self.connection.state & Endpoint.LOCAL_ACTIVE:
            self.connection.close()
        while self.connection is not None and self.connection.state & Endpoint.REMOTE_ACTIVE:
            self.check(deadline)
            self.container.process()

    def check(self, deadline):
        """Fails when the case has failed or takes too long."""
        if self.failure is not None:
            raise AssertionError(self.failure)
        if time.monotonic() > deadline:
            raise AssertionError(f"not done within {CASE_SECONDS} s")

    def failed(self, link, reason):
        self.failure = f"{link.name}: {reason}"

    def on_connection_remote_close(self, event):
        event.connection.close()

    def on_transport_error(self, event):
        self.transport_error = shown(event.transport.condition)

    # What cases are made of.

    def dial(self, **options):
        """Opens a connection."""
        options.setdefault("allowed_mechs", "ANONYMOUS")
        if self.settings.small:
            options["max_frame_size"] = SMALL_FRAME
        url = f"amqp://{self.settings.host}:{self.settings.port}"
        self.connection = self.container.connect(url, reconnect=False, **options)

    def run_of(self, kind, node, count, settled=False):
        """Attaches a link on a session of its own."""
        session = self.connection.session()
        if self.settings.small:
            session.incoming_capacity = SMALL_FRAME * SMALL_WINDOW
        session.open()
        link = (session.sender if kind is SendRun else session.receiver)(f"{kind.__name__} {node}")
        (link.target if kind is SendRun else link.source).address = node
        link.snd_settle_mode = Link.SND_SETTLED if settled else Link.SND_UNSETTLED
        link.run = kind(link, node, count, self.settings)
        link.open()
        link.run.pump()
        return link.run

    def both(self, label, count, settled=False):
        """Attaches one link each way."""
        rest = label if count == self.settings.count else f"{label}/{count}"
        return (
            self.run_of(SendRun, f"sink/{rest}", count, settled),
            self.run_of(ReceiveRun, f"source/{rest}", count, settled),
        )

    def leave(self, runs):
        """Detaches links and ends their sessions; yields until the other end has agreed."""
        for run in runs:
            run.link.close()
        yield lambda: all(run.closed for run in runs)
        for run in runs:
            if run.error is not None:
                raise AssertionError(f"{run.node}: the detach ended with {run.error}")
            run.link.session.close()

    def few(self, label):
        """A few messages each way."""
        runs = self.both(label, FEW)
        yield lambda: all(run.done for run in runs)
        yield from self.leave(runs)


def expect(what, came, due):
    """Fails with both values."""
    if came != due:
        raise AssertionError(f"{what}: {came!r} came, not {due!r}")


def settled(peer, label):
    """A long run each way, both at once."""
    peer.dial()
    runs = peer.both(label, peer.settings.count, settled=True)
    yield lambda: all(run.done for run in runs)
    yield from peer.leave(runs)


def unsettled(peer, label):
    """The same with outcomes."""
    peer.dial()
    runs = peer.both(label, peer.settings.count)
    yield lambda: all(run.done for run in runs)
    yield from peer.leave(runs)


def no_sasl(peer, label):
    """Without the SASL layer."""
    peer.dial(sasl_enabled=False)
    yield from peer.few(label)


def outcomes(peer, label):
    """Every outcome, both ways."""
    peer.dial()
    node = f"outcomes/{label}/{OUTCOMES}"
    runs = [peer.run_of(kind, node, OUTCOMES) for kind in (SendRun, ReceiveRun)]
    yield lambda: all(run.done for run in runs)
    yield from peer.leave(runs)


def refused(peer, label):
    """A node that does not exist, and the connection goes on."""
    peer.dial()
    runs = [peer.run_of(kind, "missing", FEW) for kind in (SendRun, ReceiveRun)]
    yield lambda: all(run.closed for run in runs)
    for run in runs:
        expect("refusal", run.error, "amqp:not-found: no node has this name")
        expect("messages", run.counted.messages, 0)
    yield from peer.few(label)


def leaving(peer, label):
    """The other end detaches in the middle, and the connection goes on."""
    peer.dial()
    runs = [peer.run_of(kind, f"leaving/{label}", FEW) for kind in (SendRun, ReceiveRun)]
    yield lambda: all(run.closed for run in runs)
    for run in runs:
        expect("messages", run.counted.messages, FEW)
    yield from peer.few(label)


def closing(peer, label):
    """The other end closes the connection with an error."""
    peer.dial()
    run = peer.run_of(SendRun, f"closing/{label}", FEW)
    yield lambda: peer.connection.state & Endpoint.REMOTE_CLOSED
    expect("close", shown(peer.connection.remote_condition), "test:closed: ten were enough")
    expect("messages", run.counted.messages, FEW)


def closed(peer, label):
    """This end closes with an error; the other prints what it saw."""
    peer.dial()
    yield from peer.few(label)
    peer.connection.condition = Condition("test:done", "all is done")
    peer.connection.close()
    yield lambda: peer.connection.state & Endpoint.REMOTE_CLOSED
    expect("answer", shown(peer.connection.remote_condition), None)


def detached(peer, label):
    """This end detaches with an error, in the middle."""
    peer.dial()
    runs = peer.both(label, FEW)
    yield lambda: all(run.done for run in runs)
    for run in runs:
        run.link.condition = Condition("test:enough", "no more of this")
    yield from peer.leave(runs)
    yield from peer.few(f"{label}-after")


def ended(peer, label):
    """This end ends the sessions below its links."""
    peer.dial()
    runs = peer.both(label, FEW)
    yield lambda: all(run.done for run in runs)
    for run in runs:
        run.link.session.close()
    gone = Endpoint.REMOTE_CLOSED
    yield lambda: all(run.link.session.state & gone for run in runs)
    yield from peer.few(f"{label}-after")


def drained(peer, label):
    """A node that is asked for more than it has says so, every time it is asked."""
    peer.dial()
    run = peer.run_of(ReceiveRun, f"drained/{label}", DRAINED)
    # It may be asked before it has anything.
    while not run.done:
        run.link.drain(DRAIN_CREDIT)
        yield lambda: run.link.credit == 0
    run.link.drain(DRAIN_CREDIT)
    yield lambda: run.link.credit == 0
    yield from peer.leave([run])


def reused(peer, label):
    """Links one after the other, so that handles and channels are used again."""
    peer.dial()
    for turn in range(ROUNDS):
        yield from peer.few(f"{label}-{turn}")


def many(peer, label):
    """Many links at once."""
    peer.dial()
    runs = [run for link in range(LINKS) for run in peer.both(f"{label}-{link}", FEW)]
    yield lambda: all(run.done for run in runs)
    yield from peer.leave(runs)


def idle(peer, label):
    """Nobody says anything for longer than either end bears; heartbeats keep it open."""
    peer.dial(heartbeat=IDLE_SECONDS)
    until = time.monotonic() + SILENCE_SECONDS
    yield lambda: time.monotonic() > until
    expect("state", bool(peer.connection.state & Endpoint.REMOTE_ACTIVE), True)
    yield from peer.few(label)


def user(peer, label):
    """SASL PLAIN."""
    peer.dial(allowed_mechs="PLAIN", user=USER, password=PASSWORD)
    yield from peer.few(label)


def wrong_password(peer, _label):
    """SASL PLAIN with another password."""
    peer.dial(allowed_mechs="PLAIN", user=USER, password="guess")
    yield lambda: peer.transport_error is not None
    expect("refusal", peer.transport_error.partition(":")[0], "amqp")
    assert "unauthorized" in peer.transport_error.lower(), peer.transport_error
    peer.connection = None


CASES = [
    settled,
    unsettled,
    no_sasl,
    outcomes,
    refused,
    leaving,
    closing,
    closed,
    detached,
    ended,
    drained,
    reused,
    many,
    idle,
    user,
    wrong_password,
]
