"""What a case gets: a hub of its own, ways to reach it, and the emulator's control port."""

import json
import logging
import threading
import time
import urllib.request

from azure.eventhub import EventData, TransportType

import blocking
import threaded

BEGINNING = "-1"
GROUP = "$Default"
KINDS = {"python": threaded, "python-aio": blocking}


class World:
    """One case's view of the emulator, with one of the two clients."""

    def __init__(self, assignment, hub, emulator="emulator"):
        self._assignment = assignment
        self._emulator = assignment[emulator]
        self.hub = hub
        self.transport = assignment["transport"]
        self.cross = assignment.get("cross")
        self.client = assignment["client"]
        self.kind = KINDS[self.client].Kind()

    def idle(self):
        """The same hub on the emulator that expects a sign of life every 4 seconds."""
        world = World(self._assignment, self.hub, emulator="idle")
        world.kind = self.kind
        return world

    # How the client is made

    def connection_string(self, key_name=None, key=None):
        """With other credentials if a case wants so."""
        emulator = ";UseDevelopmentEmulator=true" if self.is_plain() else ""
        return (
            f"Endpoint=sb://{self._emulator['address']}"
            f";SharedAccessKeyName={key_name or self._assignment['key_name']}"
            f";SharedAccessKey={key or self._assignment['key']}{emulator}"
        )

    def is_plain(self):
        """Whether there is no TLS."""
        return self.transport in ("plaintext", "websocket")

    def options(self):
        """What every client of this transport is made with."""
        options = {"retry_total": 0}
        if self.transport == "plaintext":
            return options
        # Under TLS the port of the connection string is not looked at.
        options["custom_endpoint_address"] = f"sb://{self._emulator['address']}"
        if self.transport == "tls":
            options["transport_type"] = TransportType.Amqp
        else:
            options["transport_type"] = TransportType.AmqpOverWebsocket
        if not self.is_plain():
            options["connection_verify"] = self._assignment["ca"]
        return options

    def producer(self, hub=None, credentials=None, **options):
        """A producer which does not retry unless told otherwise: an error is an error."""
        text = self.connection_string(**(credentials or {}))
        options = {"eventhub_name": hub or self.hub, **self.options(), **options}
        return self.kind.producer(text, **options)

    def receiving(self, partition=None, hub=None, credentials=None, client=None, **options):
        """A consumer that receives; from the start unless told otherwise."""
        text = self.connection_string(**(credentials or {}))
        client = {"eventhub_name": hub or self.hub, **self.options(), **(client or {})}
        options.setdefault("starting_position", BEGINNING)
        return self.kind.receiving(text, GROUP, client, {"partition_id": partition, **options})

    def receive(self, count, partition=None, **options):
        """The next `count` events as (partition id, event). Options as for `receiving`."""
        if partition is None:
            # One event at a time, it waits for each silent partition before the next event.
            options.setdefault("max_batch_size", 100)
        with self.receiving(partition, **options) as receiving:
            return receiving.wait(count)

    def send(self, bodies, **target):
        """Sends one batch."""
        with self.producer() as producer:
            send(producer, bodies, **target)

    # The emulator's other side

    def control(self, method, path, body=None):
        """One request to the control port."""
        request = urllib.request.Request(
            f"http://{self._emulator['control']}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            text = response.read()
        return json.loads(text) if text else None

    def fault(self, effect, scope=None, at="now", **rest):
        """Makes the emulator misbehave on this hub; the fault's id."""
        fault = {"scope": {"hub": self.hub, **(scope or {})}, "at": at, "effect": effect, **rest}
        return self.control("POST", "/faults", fault)["id"]

    def struck(self, fault):
        """Waits until a fault has struck."""
        self.control("GET", f"/faults/{fault}?hits=1&wait-ms=5000")

    def connections(self, role=None):
        """The numbers of the connections that are there for this hub, or have a link of this role."""

        def is_ours(connection):
            links = connection["links"]
            if role is not None:
                return any((link["role"], link["hub"]) == (role, self.hub) for link in links)
            audiences = [audience["audience"] for audience in connection["audiences"]]
            addresses = [link["address"] for link in links]
            return any(self.hub in path.split("/") for path in audiences + addresses)

        connections = self.control("GET", "/state")["connections"]
        return {connection["number"] for connection in connections if is_ours(connection)}

    def are_gone(self, numbers):
        """Waits until none of these connections is there any more."""
        deadline = time.monotonic() + 5
        while left := self.connections() & numbers:
            assert time.monotonic() < deadline, f"connections {left} are still there"
            time.sleep(0.02)


def send(producer, bodies, **target):
    """Sends one batch with a producer that is open."""
    batch = producer.create_batch(**target)
    for body in bodies:
        batch.add(EventData(body))
    producer.send_batch(batch)


class ClientLog(logging.Handler):
    """What the client logs of tokens. It says there why one was refused, and not in its error.

    Only the cases about refused tokens make it say anything; they enter the log one at a time.
    """

    def __init__(self):
        super().__init__(logging.INFO)
        self._turn = threading.Lock()
        self.lines = []
        logger = logging.getLogger("azure.eventhub")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(self)

    def emit(self, record):
        if "put token" in record.msg.lower():
            self.lines.append(record.getMessage())

    def __enter__(self):
        self._turn.acquire()
        self.lines.clear()
        return self

    def __exit__(self, *_):
        self._turn.release()


CLIENT_LOG = ClientLog()
