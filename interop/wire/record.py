"""What a client sent, by operation, read from the emulator's record (`GET /wire`).

The record has every value as an object with one member, its type: `{"uint": 5}`. Here a frame
becomes the operation it belongs to, and its fields become names and types: a name is the path to a
field (`source.address`), an entry of a map (`properties.com.microsoft:epoch`) or a capability
(`desired-capabilities.com.microsoft:georeplication`).
"""

# Performatives that are operations of their own, whatever link they are about.
PLAIN = {"sasl-init": "sasl init", "open": "open", "begin": "begin", "disposition": "disposition"}
BATCH_FORMAT = 0x80013700
# The key whose entry in the annotations says that a partition key was given.
KEY = "x-opt-partition-key"
# Lists of names: each name counts as a field.
NAME_LISTS = {
    "offered-capabilities",
    "desired-capabilities",
    "capabilities",
    "outcomes",
    "outgoing-locales",
    "incoming-locales",
}


# Stands for the operation itself, so that one without a field is seen too.
PERFORMED = "(performed)"


class Operations(dict):
    """Operation to name to the set of types seen."""

    def add(self, operation, name, kind):
        """Adds one sighting."""
        names_seen = self.setdefault(operation, {PERFORMED: {"yes"}})
        names_seen.setdefault(name, set()).add(kind)


def kind_and_value(typed):
    """Type and value of a typed value."""
    ((kind, value),) = typed.items()
    return kind, value


def value_of(typed):
    """The bare value of a typed one; None for None."""
    return None if typed is None else kind_and_value(typed)[1]


def names(operations, operation, path, typed):
    """Adds a value, and what is in it."""
    kind, value = kind_and_value(typed)
    if kind == "described":
        descriptor = " ".join(str(part) for part in kind_and_value(value["descriptor"]))
        inner = kind_and_value(value["value"])[0]
        operations.add(operation, path, f"described({descriptor}) {inner}")
        return
    operations.add(operation, path, kind)
    last = path.rpartition(".")[2]
    if kind == "map":
        for key, entry in value:
            key_kind, key_value = kind_and_value(key)
            names(operations, operation, f"{path}.{key_value}", entry)
            operations.add(operation, f"{path}.{key_value} (key)", key_kind)
    elif last in NAME_LISTS:
        for item in value if kind in ("array", "list") else [typed]:
            item_kind, item_value = kind_and_value(item)
            operations.add(operation, f"{path}.{item_value}", item_kind)
    elif isinstance(value, dict) and "bytes" not in value:
        fields(operations, operation, f"{path}.", value)


def fields(operations, operation, prefix, values):
    """Adds the fields of a composite."""
    for name, typed in values.items():
        names(operations, operation, prefix + name, typed)


def message(operations, operation, prefix, told):
    """Adds the sections of a message."""
    for section, content in told.items():
        if section in ("sections", "events"):
            continue
        if isinstance(content, list):
            content = {"map": content}
        elif section in ("header", "properties"):
            fields(operations, operation, f"{prefix}{section}.", content)
            continue
        names(operations, operation, prefix + section, content)
    for event in told.get("events", ()):
        message(operations, operation, "event: ", event)


def entry(pairs, name):
    """The bare value of an entry of a map told as pairs."""
    for key, value in pairs or ():
        if value_of(key) == name:
            return value_of(value)
    return None


class Connection:
    """The frames of one connection."""

    def __init__(self, operations):
        self.operations = operations
        # What a link is for, by channel and handle.
        self.links = {}
        # Frames of messages that are not whole yet.
        self.parts = {}

    def take(self, frame):
        """Takes the next frame."""
        for performative, values in frame.items():
            if performative in PLAIN:
                self.operations.add(PLAIN[performative], PERFORMED, "yes")
                fields(self.operations, PLAIN[performative], "", values)
            elif performative in ("attach", "flow", "transfer", "detach", "end", "close"):
                getattr(self, performative)(frame, values)

    def link(self, frame, values):
        """Channel and handle of a frame about a link."""
        return frame["channel"], value_of(values.get("handle"))

    def attach(self, frame, values):
        """An attach says what its link is for."""
        receives = value_of(values["role"])
        terminus = value_of(values.get("source" if receives else "target")) or {}
        address = value_of(terminus.get("address")) or ""
        node = address.rsplit("/", 1)[-1]
        if node in ("$cbs", "$management"):
            purpose = node
            operation = f"{node} attach, {'receiver' if receives else 'sender'}"
        elif receives:
            purpose = "consumer"
            operation = f"consumer attach, {consumer_kind(values, terminus)}"
            self.selector(operation, terminus)
        else:
            purpose = "producer"
            target = "partition" if "/partitions/" in address.lower() else "hub"
            operation = f"producer attach, {target}"
        self.links[self.link(frame, values)] = purpose
        fields(self.operations, operation, "", values)

    def selector(self, operation, terminus):
        """A selector counts as the property it compares."""
        for _, filtered in value_of(terminus.get("filter")) or ():
            before, compared, after = selector_text(filtered).partition(">")
            if compared:
                operator = ">=" if after.startswith("=") else ">"
                self.operations.add(operation, f"selector on {before.strip()}", operator)

    def flow(self, frame, values):
        """Credit for a link, or the windows of a session alone."""
        purpose = self.links.get(self.link(frame, values))
        about = "session alone" if purpose is None else f"{purpose} link"
        fields(self.operations, f"flow, {about}", "", values)

    def detach(self, frame, values):
        """The end of a link, one way or the other."""
        purpose = self.links.get(self.link(frame, values))
        fields(self.operations, f"detach, {purpose} link", "", values)

    def end(self, _frame, values):
        """The end of a session. It has no field but the error."""
        self.operations.add("end", PERFORMED, "yes")
        fields(self.operations, "end", "", values)

    def close(self, _frame, values):
        """The end of a connection."""
        self.operations.add("close", PERFORMED, "yes")
        fields(self.operations, "close", "", values)

    def transfer(self, frame, values):
        """A message, or a part of one."""
        link = self.link(frame, values)
        parts = self.parts.setdefault(link, [])
        parts.append(values)
        told = frame.get("message")
        if told is None:
            return
        del self.parts[link]
        batch = value_of(parts[0].get("message-format")) == BATCH_FORMAT
        operation = sent(self.links.get(link), told, batch)
        for part in parts:
            fields(self.operations, operation, "", part)
        message(self.operations, operation, "message: ", told)


def sent(purpose, told, batch):
    """What a message on a link is."""
    if purpose == "$cbs":
        return "put-token"
    if purpose == "$management":
        kind = entry(told.get("application-properties"), "type") or ""
        return f"read {kind.rpartition(':')[2]}"
    by_key = entry(told.get("message-annotations"), KEY) is not None
    return ("batch" if batch else "single send") + (" by key" if by_key else "")


def selector_text(filtered):
    """The text of a filter."""
    kind, value = kind_and_value(filtered)
    text = value_of(value["value"]) if kind == "described" else value
    return text if isinstance(text, str) else ""


def consumer_kind(values, terminus):
    """How a receiver differs from a plain one: by owner level, by what it wants to be told, or by
    where it starts."""
    if entry(value_of(values.get("properties")), "com.microsoft:epoch") is not None:
        return "owner level"
    if entry_of_names(values.get("desired-capabilities"), "com.microsoft:enable-receiver-runtime"):
        return "runtime metrics"
    texts = [selector_text(filtered) for _, filtered in value_of(terminus.get("filter")) or ()]
    text = texts[0] if texts else ""
    kinds = {"@latest": "latest", "'-1'": "earliest", "x-opt-offset": "offset"}
    kinds |= {"x-opt-sequence-number": "sequence number", "x-opt-enqueued-time": "enqueued time"}
    found = next((kind for needle, kind in kinds.items() if needle in text), "without a filter")
    return f"from {found}"


def entry_of_names(typed, prefix):
    """Whether a list of names has one that starts with `prefix`."""
    if typed is None:
        return False
    kind, value = kind_and_value(typed)
    items = [value_of(item) for item in value] if kind in ("array", "list") else [value]
    return any(item.startswith(prefix) for item in items)


def read(record):
    """The operations of all connections of a record."""
    operations = Operations()
    for told in record["connections"]:
        if told.get("stopped"):
            raise ValueError(f"the record of connection {told['number']} is cut: {told['stopped']}")
        connection = Connection(operations)
        for frame in told["frames"]:
            connection.take(frame)
    return operations
