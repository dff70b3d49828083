"""What is checked about received events and refusals."""

import datetime


def bodies_of(events):
    """The bodies as text."""
    return [event.body_as_str() for _, event in events]


def assert_log(events, first=0):
    """Sequence numbers without a gap, offsets present, times set and not decreasing."""
    numbers = [event.sequence_number for _, event in events]
    assert numbers == list(range(first, first + len(numbers))), f"sequence numbers {numbers[:20]}"
    offsets = [event.offset for _, event in events]
    assert len(set(offsets)) == len(offsets) and all(offsets), f"offsets {offsets[:20]}"
    times = [event.enqueued_time for _, event in events]
    assert times == sorted(times), "enqueued times go backwards"
    age = datetime.datetime.now(datetime.timezone.utc) - times[-1]
    assert abs(age) < datetime.timedelta(minutes=10), f"enqueued {age} ago"


def is_refused(error, kind, *needles, log=()):
    """Asserts the type of an error, and one of the needles in its condition, text or log."""
    text = " ".join([str(error), str(getattr(error, "error", "")), *log]).lower()
    assert type(error) is kind, f"{kind.__name__} expected, not {type(error).__name__}: {text}"
    assert not needles or any(needle in text for needle in needles), f"unexpected text: {text}"


def refused(call, kind, *needles, log=()):
    """Expects `call` to raise exactly `kind`. `log` is what the client has logged by then."""
    try:
        call()
    except Exception as error:
        is_refused(error, kind, *needles, log=log)
        return
    raise AssertionError(f"{kind.__name__} expected, but the call succeeded")
