"""qpid-proton as one end of a connection whose other end is our engine.

    proton_peer.py listen|dial [--address HOST:PORT] [--count N] [--small]

As a listener it prints `ready HOST:PORT` and plays the nodes that `interop/ours` names in its
`node.rs`; as a dialler it runs its cases against a listener that plays the same nodes, and prints
`ok NAME` or `FAIL NAME: reason` for each. Both print what they counted as `fact ...`, for the
driver to compare with what the other end counted. It ends with its standard input.

Needs Debian's `python3-qpid-proton`, which only /usr/bin/python3 sees.
"""

import argparse
import os
import sys
import threading

from proton import Condition, Delivery, Endpoint, Handler, Link, Terminus
from proton.reactor import Container

from proton_messages import Count, make

# The smallest frame the protocol allows, and frames that may be in flight.
SMALL_FRAME, SMALL_WINDOW = 512, 4
# Deliveries that may be in flight.
CREDIT, SMALL_CREDIT = 300, 3
# Messages of a node that goes away by itself, and of one that is asked for more than it has.
FEW, DRAINED = 10, 5
# Seconds of silence that this end announces it will not bear.
IDLE_SECONDS = 1
SEND_NODES = ("source", "outcomes", "leaving", "drained")
RECEIVE_NODES = ("sink", "outcomes", "leaving", "closing")


def say(line):
    """Prints one line at once, whole."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def shown(condition):
    """An error as every implementation prints it."""
    return None if condition is None else f"{condition.name}: {condition.description}"


class Run:
    """What is done on one link."""

    def __init__(self, link, node, count, settings):
        self.link, self.node, self.count = link, node, count
        self.small = settings.small
        self.counted = Count()
        self.failed = self.closed = self.reported = False
        self.error = None

    @property
    def done(self):
        """Whether every message is through."""
        return self.counted.messages == self.count

    def report(self):
        """Prints the count, once."""
        if self.done and not self.reported:
            self.reported = True
            verb = "sent" if self.link.is_sender else "received"
            say(f"fact {verb} {self.node} {self.counted.shown()}")


class SendRun(Run):
    """Sends the first `count` messages."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.next = 0

    def pump(self):
        """Sends what there is credit for."""
        settled = self.link.snd_settle_mode == Link.SND_SETTLED
        while self.link.credit > 0 and self.next < self.count:
            self.link.send(make(self.next))
            self.next += 1
            if settled:
                self.counted.sent()
        if self.next == self.count:
            # Says something only when the other end drains.
            self.link.drained()
        self.report()

    def delivery(self, delivery):
        """Takes an outcome."""
        if not delivery.updated or not delivery.settled:
            return
        number = self.counted.messages
        came = outcome_of(delivery)
        due = outcome(number) if self.node.startswith("outcomes") else ("accepted",)
        delivery.settle()
        if came != due:
            raise AssertionError(f"message {number}: {came} came, not {due}")
        self.counted.sent()
        self.report()


def outcome(number):
    """What is said of message `number` of a run that gets every outcome."""
    return (
        ("accepted",),
        ("rejected", "test:refused: not this one"),
        ("released",),
        ("modified", True, True),
    )[number % 4]


def outcome_of(delivery):
    """What the other end said of a delivery."""
    remote = delivery.remote
    if remote.type == Delivery.REJECTED:
        return "rejected", shown(remote.condition)
    if remote.type == Delivery.MODIFIED:
        return "modified", remote.failed, remote.undeliverable
    return ({Delivery.ACCEPTED: "accepted", Delivery.RELEASED: "released"}.get(remote.type),)


class ReceiveRun(Run):
    """Receives the first `count` messages."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.parts = []

    def pump(self):
        """Grants credit when half of it is used."""
        window = SMALL_CREDIT if self.small else CREDIT
        # The deliveries already here count as credit too.
        if not self.node.startswith("drained") and self.link.credit <= window // 2:
            self.link.flow(window - self.link.credit)

    def delivery(self, delivery):
        """Takes a delivery, or a part of one."""
        if not delivery.readable:
            return
        # A part is taken at once: the window counts what was not.
        self.parts.append(self.link.recv(delivery.pending) or b"")
        if delivery.partial:
            return
        number = self.counted.messages
        self.link.advance()
        encoded, self.parts = b"".join(self.parts), []
        settled = self.link.remote_snd_settle_mode == Link.SND_SETTLED
        if delivery.settled != settled:
            raise AssertionError(f"message {number}: settled is {delivery.settled}")
        self.counted.received(encoded)
        self.settle(delivery, number)
        self.pump()
        self.report()

    def settle(self, delivery, number):
        """Says what became of it."""
        kind = outcome(number)[0] if self.node.startswith("outcomes") else "accepted"
        if kind == "rejected":
            delivery.local.condition = Condition("test:refused", "not this one")
        if kind == "modified":
            delivery.local.failed = delivery.local.undeliverable = True
        states = {
            "accepted": Delivery.ACCEPTED,
            "rejected": Delivery.REJECTED,
            "released": Delivery.RELEASED,
            "modified": Delivery.MODIFIED,
        }
        delivery.update(states[kind])
        delivery.settle()


class Peer(Handler):
    """What both roles do with the events of links."""

    def __init__(self, settings):
        self.settings = settings
        self.failure = None

    def guarded(self, link, work, *arguments):
        """Runs a step of a link; the first thing it raises is the outcome of the case."""
        if link.run.failed:
            return
        try:
            work(*arguments)
        except Exception as error:  # whatever it is, it is the finding
            link.run.failed = True
            self.failed(link, f"{type(error).__name__}: {error}")

    def failed(self, link, reason):
        """A link did not do what was due."""
        raise NotImplementedError

    def on_link_flow(self, event):
        run = getattr(event.link, "run", None)
        if run is not None and event.link.is_sender and event.link.state & Endpoint.LOCAL_ACTIVE:
            self.guarded(event.link, run.pump)

    def on_delivery(self, event):
        run = getattr(event.link, "run", None)
        if run is not None:
            self.guarded(event.link, run.delivery, event.delivery)

    def on_link_remote_close(self, event):
        run = getattr(event.link, "run", None)
        if run is not None:
            run.closed, run.error = True, shown(event.link.remote_condition)
        event.link.close()

    def on_link_remote_detach(self, event):
        event.link.detach()
        self.on_link_remote_close(event)

    def on_session_remote_close(self, event):
        event.session.close()


class Listener(Peer):
    """Plays the nodes."""

    def on_reactor_init(self, event):
        settings = self.settings
        acceptor = event.container.listen(f"{settings.host}:{settings.port}")
        # The port is only known to the socket.
        host, port = acceptor._selectable._delegate.getsockname()[:2]
        say(f"ready {host}:{port}")

    def on_connection_bound(self, event):
        event.transport.idle_timeout = IDLE_SECONDS
        if self.settings.small:
            event.transport.max_frame_size = SMALL_FRAME

    def on_connection_remote_open(self, event):
        event.connection.container = "proton"
        event.connection.open()

    def on_session_remote_open(self, event):
        if self.settings.small:
            event.session.incoming_capacity = SMALL_FRAME * SMALL_WINDOW
        event.session.open()

    def on_link_remote_open(self, event):
        link = event.link
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        link.snd_settle_mode = link.remote_snd_settle_mode
        link.rcv_settle_mode = link.remote_rcv_settle_mode
        address = (link.source if link.is_sender else link.target).address or ""
        node, _, rest = address.partition("/")
        if node not in (SEND_NODES if link.is_sender else RECEIVE_NODES):
            link.source.type = link.target.type = Terminus.UNSPECIFIED
            link.open()
            link.condition = Condition("amqp:not-found", "no node has this name")
            link.close()
            return
        count = int(rest.partition("/")[2] or self.settings.count)
        count = {"leaving": FEW, "closing": FEW, "drained": DRAINED}.get(node, count)
        kind = SendRun if link.is_sender else ReceiveRun
        link.run = kind(link, address, count, self.settings)
        link.open()
        self.guarded(link, link.run.pump)

    def on_delivery(self, event):
        super().on_delivery(event)
        run = getattr(event.link, "run", None)
        if run is None or not run.done:
            return
        if run.node.startswith("leaving"):
            event.link.condition = Condition("test:leaving", "ten were enough")
            event.link.close()
        elif run.node.startswith("closing"):
            event.connection.condition = Condition("test:closed", "ten were enough")
            event.connection.close()

    def on_connection_remote_close(self, event):
        if event.connection.remote_condition:
            say(f"fact closed {shown(event.connection.remote_condition)}")
        event.connection.close()

    def on_transport_error(self, event):
        # A peer that hangs up without a close is the driver's to judge.
        say(f"fact broken {shown(event.transport.condition)}")

    def failed(self, link, reason):
        say(f"FAIL {link.run.node}: {reason}")
        link.connection.condition = Condition("test:failed", reason)
        link.connection.close()


def end_with_parent():
    """Exits at the end of standard input, which whoever started us keeps open."""

    def wait():
        while os.read(0, 256):
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def main():
    """Reads the command line and runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("role", choices=("listen", "dial"))
    parser.add_argument("--address", default="127.0.0.1:0")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--small", action="store_true")
    settings = parser.parse_args()
    settings.host, _, settings.port = settings.address.rpartition(":")
    end_with_parent()
    if settings.role == "listen":
        Container(Listener(settings)).run()
    else:
        from proton_cases import Dialler

        Dialler(settings).run()


if __name__ == "__main__":
    main()
    # A thread still reads standard input.
    os._exit(0)
