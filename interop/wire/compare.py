"""Compares what our client sends with what the official clients send.

Every name and type ours sends for an operation must be sent by at least one of them for it, and
what all of them send that perform the operation, ours must send. Exceptions are the table of
docs/wire.md after the mark `<!-- differences -->`; each must still be needed.
"""

from collections import namedtuple

MARK = "<!-- differences -->"
ONLY_OURS, NOT_OURS = "only ours", "not ours"

Row = namedtuple("Row", "operation name types verdict")
Allowed = namedtuple("Allowed", "operation name difference reason")


def differences(ours, officials):
    """The rows of the table: one per operation and name. `officials` is client to operations."""
    rows = []
    for operation in sorted(ours):
        performing = {
            who: operations[operation]
            for who, operations in officials.items()
            if operation in operations
        }
        mine = ours[operation]
        every_name = set(mine).union(*performing.values())
        if not performing:
            rows.append(Row(operation, "(performed)", {"ours": {"yes"}}, ONLY_OURS))
            continue
        for name in sorted(every_name):
            theirs = {who: found.get(name, set()) for who, found in performing.items()}
            rows.append(
                Row(
                    operation,
                    name,
                    {"ours": mine.get(name, set()), **theirs},
                    verdict(mine.get(name, set()), list(theirs.values())),
                )
            )
    return rows


def verdict(mine, theirs):
    """None when all is well, or the difference."""
    if mine - set().union(*theirs):
        return ONLY_OURS
    if all(theirs) and not mine:
        return NOT_OURS
    if set.intersection(*theirs) - mine:
        return NOT_OURS
    return None


def exceptions(text):
    """The exceptions in docs/wire.md."""
    _, mark, rest = text.partition(MARK)
    if not mark:
        raise ValueError(f"docs/wire.md has no table after {MARK}")
    found = []
    for line in rest.strip().splitlines()[2:]:
        if not line.startswith("|"):
            break
        cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        found.append(Allowed(*cells))
    return found


def judge(rows, allowed):
    """Rows with what is said of them, `ok`, `excepted: reason` or `FAIL`; and stale exceptions."""
    used = set()
    judged = []
    for row in rows:
        said = "ok"
        if row.verdict is not None:
            said = f"FAIL: {row.verdict}"
            for one in allowed:
                if matches(one, row):
                    used.add(one)
                    said = f"excepted: {one.reason}"
        judged.append((row, said))
    return judged, [one for one in allowed if one not in used]


def matches(exception, row):
    """Whether an exception speaks of a row; `*` ends a name or stands for any operation."""
    return (
        alike(exception.operation, row.operation)
        and alike(exception.name, row.name)
        and exception.difference == row.verdict
    )


def alike(pattern, text):
    """Whether a text is meant by a pattern."""
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    return pattern == text


def shown(types):
    """Types as a cell."""
    return " or ".join(sorted(types)) or "-"


def table(judged, clients):
    """The lines of the table."""
    columns = ["ours", *clients]
    head = ["operation", "field or property", *columns, ""]
    lines = [head]
    for row, said in judged:
        cells = [shown(row.types.get(who, set())) if who in row.types else "" for who in columns]
        lines.append([row.operation, row.name, *cells, said])
    widths = [min(44, max(len(line[column]) for line in lines)) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines
    ]
