"""Our engine against other implementations of AMQP 1.0, each end listening and dialling.

    run.py [--only NAME] --peer PATH

`--peer` is the binary `peer` of `interop/ours`. The strangers are qpid-proton (Debian's
`python3-qpid-proton`, seen by /usr/bin/python3 only) and rhea (`npm ci` in this folder). Each pair
runs twice: as it comes, and with the smallest frames, windows and credit. Both ends print what they
sent and received; a case passes when the dialler says so and both ends counted the same.

Prints `ok NAME` or `FAIL NAME: reason` for each case and ends with `N passed, M failed`; the exit
code is 1 when anything failed.
"""

import argparse
import os
import queue
import subprocess
import sys
import threading
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
PROTON = ["/usr/bin/python3", os.path.join(FOLDER, "proton_peer.py")]
RHEA = ["node", os.path.join(FOLDER, "rhea_peer.js")]
# Messages of a long run, each way; fewer where each takes many frames and turns.
COUNT, SMALL_COUNT = 10_000, 2_000
# A user for SASL PLAIN. Proton's listener would need a password database of the system.
USER = "guest:let me in"
# Seconds for a process to be there, for a whole pair, and for the last line of the listener.
START_SECONDS, PAIR_SECONDS, LINE_SECONDS = 30, 600, 10
# What the other end prints of the same thing.
MIRROR = {"sent": "received", "received": "sent"}


class Process:
    """A child that ends with its standard input, and the lines it prints."""

    def __init__(self, command):
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line.strip())
        self._lines.put(None)

    def line(self, seconds):
        """The next line; None at the end or when none came in time."""
        try:
            return self._lines.get(timeout=max(0, seconds))
        except queue.Empty:
            return None

    def stop(self):
        """Ends the child: by the end of its input, or by force when it ignores that."""
        self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Heard:
    """What a listener has printed so far."""

    def __init__(self, process):
        self._process = process
        self.facts = []
        self.failures = []

    def take(self, seconds=0):
        """Takes one line; false when there was none."""
        line = self._process.line(seconds)
        if line is None:
            return False
        if line.startswith("FAIL "):
            self.failures.append(line.removeprefix("FAIL "))
        else:
            self.facts.append(line)
        return True

    def has(self, fact):
        """Whether it says `fact`, now or shortly."""
        until = time.monotonic() + LINE_SECONDS
        while fact not in self.facts:
            if not self.take(until - time.monotonic()):
                return False
        return True


def missing(case, facts, heard):
    """What the listener should have counted and did not."""
    due = []
    for fact in facts:
        word, verb, rest = fact.split(" ", 2)
        due.append(f"{word} {MIRROR[verb]} {rest}")
    if case == "closed":
        due.append("fact closed test:done: all is done")
    return [fact for fact in due if not heard.has(fact)]


def run_pair(name, listener_command, dialler_command):
    """Runs every case of one pair; yields each with the reason it failed, or None."""
    listener = Process(listener_command)
    dialler = None
    try:
        ready = listener.line(START_SECONDS)
        if ready is None or not ready.startswith("ready "):
            yield f"{name} start", f"the listener said {ready!r}"
            return
        heard = Heard(listener)
        dialler = Process([*dialler_command, "--address", ready.removeprefix("ready ")])
        yield from run_cases(name, dialler, heard)
        while heard.take():
            pass
        if heard.failures:
            yield f"{name} listener", "; ".join(heard.failures)
    finally:
        listener.stop()
        if dialler is not None:
            dialler.stop()


def run_cases(name, dialler, heard):
    """Reads what the dialler says of its cases."""
    until = time.monotonic() + PAIR_SECONDS
    facts = []
    while True:
        line = dialler.line(until - time.monotonic())
        if line == "done":
            return
        if line is None:
            yield f"{name} dialler", f"it ended or hung after {PAIR_SECONDS} s"
            return
        word, _, rest = line.partition(" ")
        if word == "fact":
            facts.append(line)
            continue
        case, _, reason = rest.partition(": ")
        if word == "ok":
            lacking = missing(case, facts, heard)
            reason = f"the listener never said: {lacking}" if lacking else None
        yield f"{name} {case}", reason
        facts = []


def pairs(peer):
    """Name, listener and dialler of each pair."""
    for small in (False, True):
        count = SMALL_COUNT if small else COUNT
        common = ["--count", str(count)] + (["--small"] if small else [])
        kind = " small" if small else ""
        ours_listens = [peer, "listen", *common, "--user", USER]
        yield f"proton dials{kind}:", ours_listens, [*PROTON, "dial", *common]
        yield f"proton listens{kind}:", [*PROTON, "listen", *common], [peer, "dial", *common]
        yield f"rhea dials{kind}:", ours_listens, [*RHEA, "dial", *common]
        with_user = [*common, "--user", USER]
        yield f"rhea listens{kind}:", [*RHEA, "listen", *with_user], [peer, "dial", *with_user]


def lacks():
    """What this machine lacks to run the strangers, or None."""
    checks = (
        ([PROTON[0], "-c", "import proton"], "qpid-proton: apt-get install python3-qpid-proton"),
        ([RHEA[0], "-e", f"require('{FOLDER}/node_modules/rhea')"], f"rhea: npm ci in {FOLDER}"),
    )
    for command, hint in checks:
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return hint
    return None


def main():
    """Reads the command line and runs; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", required=True, metavar="PATH", help="the binary of interop/ours")
    parser.add_argument("--only", metavar="NAME", help="run the pairs whose name contains this")
    arguments = parser.parse_args()
    hint = lacks()
    if hint is not None:
        print(f"FAIL start: no {hint}\n0 passed, 1 failed", flush=True)
        return 2
    passed = failed = 0
    for name, listener, dialler in pairs(os.path.abspath(arguments.peer)):
        if arguments.only and arguments.only not in name:
            continue
        began = time.monotonic()
        for case, reason in run_pair(name, listener, dialler):
            seconds = time.monotonic() - began
            began = time.monotonic()
            if reason is None:
                passed += 1
                print(f"ok {case} ({seconds:.1f} s)", flush=True)
            else:
                failed += 1
                print(f"FAIL {case}: {reason}", flush=True)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
