"""What our client sends for each operation, compared with what the official clients send.

    run.py --emulator PATH --ours PATH [--python PATH] [--javascript PATH] [--rust PATH] [--table]

Each client gets an emulator of its own that records what arrives, and performs every operation
once: `--ours` is the binary `operations` of `interop/ours`, `--python` a Python with the official
client, `--javascript` the script and `--rust` the binary that do the same. Prints the lines that
differ, or with `--table` all of them, and ends with `N passed, M failed`: one for each operation
and each exception of docs/wire.md. The exit code is 1 when anything failed.
"""

import argparse
import json
import os
import subprocess
import sys
import urllib.request

import compare
import record

FOLDER = os.path.dirname(os.path.abspath(__file__))
WIRE = os.path.join(FOLDER, "..", "..", "docs", "wire.md")
HUB = "hub"
# A client that has not done everything by then hangs.
CLIENT_SECONDS = 120


class Emulator:
    """The emulator as a child process which ends with this one."""

    def __init__(self, path):
        # The official Rust client loses answers that come at once: hence the latency.
        command = [path, "--amqp", "127.0.0.1:0", "--control", "127.0.0.1:0", "--record"]
        command += ["--latency", "5"]
        # It exits at the end of its standard input, however this process ends.
        self._process = subprocess.Popen(
            [*command, "--hub", f"{HUB}:2"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        ready = self._process.stdout.readline().split()
        self._addresses = dict(word.split("=", 1) for word in ready[1:])
        self.connection_string = self._process.stdout.readline().strip()

    def record(self):
        """Everything that clients have sent."""
        with urllib.request.urlopen(f"http://{self._addresses['control']}/wire") as answer:
            return json.load(answer)

    def stop(self):
        """Ends the child."""
        self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def operations_of(emulator_path, command):
    """What one client sent."""
    emulator = Emulator(emulator_path)
    try:
        subprocess.run(
            [*command, emulator.connection_string, HUB],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=CLIENT_SECONDS,
        )
        return record.read(emulator.record())
    finally:
        emulator.stop()


def clients(arguments):
    """Name and command of each official client that is there."""
    if arguments.python:
        yield "python", [arguments.python, os.path.join(FOLDER, "operations.py")]
    if arguments.javascript:
        # The parent's end is a client's end too.
        yield "javascript", ["setpriv", "--pdeathsig", "KILL", "node", arguments.javascript]
    if arguments.rust:
        yield "rust", [arguments.rust]


def report(judged, stale, names, everything):
    """Prints what is wrong, and the counts; true when nothing is."""
    shown = [pair for pair in judged if everything or pair[1] != "ok"]
    for line in compare.table(shown, names):
        print(line)
    failed_operations = {row.operation for row, said in judged if said.startswith("FAIL")}
    for row, said in judged:
        if said.startswith("FAIL"):
            print(f"FAIL {row.operation}, {row.name}: {said.removeprefix('FAIL: ')}")
    for one in stale:
        print(f"FAIL exception of docs/wire.md not needed: {one.operation}, {one.name}")
    operations = {row.operation for row, _ in judged}
    excepted = {said for _, said in judged if said.startswith("excepted")}
    for operation in sorted(operations - failed_operations):
        print(f"ok {operation}")
    failed = len(failed_operations) + len(stale)
    print(f"{len(operations) - len(failed_operations) + len(excepted)} passed, {failed} failed")
    return failed == 0


def main():
    """Reads the command line and runs; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--emulator", required=True, metavar="PATH")
    parser.add_argument("--ours", required=True, metavar="PATH")
    for client in ("python", "javascript", "rust"):
        parser.add_argument(f"--{client}", metavar="PATH")
    parser.add_argument("--table", action="store_true", help="print every field, not only faults")
    arguments = parser.parse_args()
    ours = operations_of(arguments.emulator, [arguments.ours])
    officials = {
        name: operations_of(arguments.emulator, command) for name, command in clients(arguments)
    }
    with open(WIRE, encoding="utf-8") as text:
        allowed = compare.exceptions(text.read())
    judged, stale = compare.judge(compare.differences(ours, officials), allowed)
    return 0 if report(judged, stale, list(officials), arguments.table) else 1


if __name__ == "__main__":
    sys.exit(main())
