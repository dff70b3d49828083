"""Runs the selected cases, a few at a time, and says what became of each."""

import queue
import threading
import time
import traceback

import case
import cross

# Imported for the cases they register, the slow ones first, so that the fast ones fill the time
# beside them.
from cases import faults, sending, receiving, ownership, properties, refusals  # noqa: F401
from world import World

# A case which has not come back by then has failed; the others still run.
CASE_SECONDS = 60
# A case that meets a known defect of the client is cut off sooner.
DEFECT_SECONDS = 12
# Cases mostly wait, each on a hub of its own.
AT_A_TIME = 8


PRINTING = threading.Lock()


def say(line):
    """Prints a line which no other thread's gets into."""
    with PRINTING:
        print(line, flush=True)


class CutOff(Exception):
    """The case did not come back."""


class Failed(Exception):
    """The case failed with this reason."""


def reason_of(error):
    """Why a case failed, in one line."""
    if isinstance(error, AssertionError):
        text = str(error) or "".join(traceback.format_tb(error.__traceback__, limit=-1))
    else:
        text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def limited(function, world, seconds):
    """Runs a function of the world in a thread of its own."""
    reasons = []

    def target():
        try:
            function(world)
        except Exception as error:  # whatever the client raises is the finding
            reasons.append(reason_of(error))

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join(timeout=seconds)
    if thread.is_alive():
        raise CutOff(f"no result within {seconds} s")
    if reasons:
        raise Failed(reasons[0])


def tolerant(entry, world, defect):
    """Runs a case in which the client has a known defect: only that defect is forgiven."""
    met = "not met"
    try:
        limited(entry.run, world, DEFECT_SECONDS)
    except CutOff as error:
        if not defect["hangs"]:
            raise
        met = str(error)
    except Failed as error:
        if not any(known in str(error) for known in defect["errors"]):
            raise
        met = str(error)
    if entry.next is None:
        raise Failed("a known defect needs an operation that works next")
    limited(entry.next, world, CASE_SECONDS)
    return met


def passes(entry, world, defect):
    """Runs one case and prints its line; true when it passed."""
    began = time.monotonic()
    try:
        if defect is None:
            limited(entry.run, world, CASE_SECONDS)
        else:
            say(f"defect {entry.name}: {tolerant(entry, world, defect)}")
    except (CutOff, Failed) as error:
        say(f"FAIL {entry.name}: {error}")
        return False
    say(f"ok {entry.name} ({time.monotonic() - began:.1f} s)")
    return True


def selected(assignment):
    """The cases of an assignment, each with its hub."""
    entries = case.ALL if assignment["mode"] == "cases" else cross.cases(assignment)
    only = assignment.get("only") or ""
    for index, entry in enumerate(entries):
        if (entry.quick or not assignment.get("quick")) and only in entry.name:
            yield entry, f"hub{index}"


def run(assignment):
    """Does what the assignment says; true when everything passed."""
    defects = {defect["case"]: defect for defect in assignment["defects"]}
    waiting = queue.SimpleQueue()
    for item in selected(assignment):
        waiting.put(item)
    outcomes = []

    def work():
        while True:
            try:
                entry, hub = waiting.get_nowait()
            except queue.Empty:
                return
            world = World(assignment, hub)
            outcomes.append(passes(entry, world, defects.get(entry.name)))

    workers = [threading.Thread(target=work, daemon=True) for _ in range(AT_A_TIME)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    passed = sum(outcomes)
    say(f"{passed} passed, {len(outcomes) - passed} failed")
    return passed == len(outcomes)
