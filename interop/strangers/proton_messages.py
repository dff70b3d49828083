"""The messages of a run, made and checked from their numbers, as qpid-proton sees them."""

import uuid
import zlib

from proton import Message, int32, symbol, timestamp

# Larger than any frame of either end.
LARGE_BYTES = 300_000
# A few frames of the usual size.
FRAMES_BYTES = 70_000
# Bodies start at one of so many places of the pattern, so that neighbours differ.
STARTS = 251
# Milliseconds since 1970: some day in 2023.
EPOCH_MS = 1_700_000_000_000

PATTERN = bytes((place * 31 + (place >> 8)) & 0xFF for place in range(LARGE_BYTES + STARTS))


def body(number):
    """The body of message `number`."""
    if number % 1000 == 999:
        size = LARGE_BYTES
    elif number % 100 == 50:
        size = FRAMES_BYTES
    elif number % 7 == 0:
        size = 0
    else:
        size = 10 + number * 37 % 1500
    start = number * 7 % STARTS
    return PATTERN[start : start + size]


def application_properties(number):
    """Its application properties, each of another type."""
    tail = "x" * 300 if number % 500 == 3 else ""
    byte = number & 0xFF
    return {
        "number": int32(number),
        "long": -number << 33,
        "crc": zlib.crc32(body(number)),
        "text": f"\u00e9v\u00e9nement {number}{tail}",
        "flag": number % 2 == 1,
        "double": number + 0.5,
        "time": timestamp(EPOCH_MS + number),
        "binary": bytes([byte]) * (number % 20),
        "uuid": uuid.UUID(bytes=bytes([byte]) * 16),
    }


def message_id(number):
    """Its id: an unsigned long or a string."""
    return number if number % 2 == 0 else f"message-{number}"


def make(number):
    """Message `number`."""
    return Message(
        body=body(number),
        # Makes the body a data section and no value.
        inferred=True,
        durable=number % 2 == 1,
        id=message_id(number),
        subject=f"event {number}",
        content_type=symbol("application/octet-stream"),
        annotations={symbol("x-opt-place"): number},
        properties=application_properties(number),
    )


class Count:
    """How many messages came or went, and a checksum over their bodies in order."""

    def __init__(self):
        self.messages = 0
        self._sum = 0

    def sent(self):
        """Counts the next message we sent."""
        self._add(body(self.messages))

    def received(self, encoded):
        """Counts the next message that came, if it is the one that is due."""
        number = self.messages
        came = Message()
        came.decode(encoded)
        data = bytes(came.body)
        if data != body(number):
            raise AssertionError(f"message {number}: another body, of {len(data)} bytes")
        same(number, "inferred", came.inferred, True)
        same(number, "durable", came.durable, number % 2 == 1)
        same(number, "id", came.id, message_id(number))
        same(number, "subject", came.subject, f"event {number}")
        same(number, "content type", str(came.content_type), "application/octet-stream")
        same(number, "annotations", came.annotations, {symbol("x-opt-place"): number})
        due = application_properties(number)
        same(number, "names", list(came.properties), list(due))
        for key, value in due.items():
            same(number, key, came.properties[key], value)
            same(number, f"type of {key}", type(came.properties[key]), type(value))
        self._add(data)

    def _add(self, data):
        self._sum = zlib.crc32(data, self._sum)
        self.messages += 1

    def shown(self):
        """`COUNT CHECKSUM`, as every implementation prints it."""
        return f"{self.messages} {self._sum:08x}"


def same(number, what, came, due):
    """Fails with both values."""
    if came != due:
        raise AssertionError(f"message {number}: {what} is {came!r}, not {due!r}")
