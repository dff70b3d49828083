"""The official Python client, unmodified, against our emulator.

    run.py ASSIGNMENT

ASSIGNMENT is the JSON that `cargo xtask interop` passes to every runner; see interop/README.md.
Prints `ok NAME (SECONDS s)` or `FAIL NAME: reason` for each case and ends with `N passed, M failed`;
the exit code is 1 when anything failed.
"""

import importlib.metadata
import json
import os
import sys
import threading

CLIENT = ("azure-eventhub", "5.15.1")


def client_version():
    """The installed version of the client, or None."""
    try:
        return importlib.metadata.version(CLIENT[0])
    except importlib.metadata.PackageNotFoundError:
        return None


def end_with_parent():
    """Ends this process when the one that started it, which holds our input, has ended."""

    def wait():
        while sys.stdin.buffer.read(64):
            pass
        os._exit(3)

    threading.Thread(target=wait, daemon=True).start()


def main():
    """Reads the assignment and runs it; the exit code."""
    version = client_version()
    if version != CLIENT[1]:
        found = "is not installed" if version is None else f"is {version}, not {CLIENT[1]}"
        print(f"FAIL start: {CLIENT[0]} {found}\n0 passed, 1 failed", flush=True)
        return 2
    end_with_parent()
    # Imported here so that a missing client is said plainly and not as a traceback.
    import runner

    return 0 if runner.run(json.loads(sys.argv[1])) else 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # A case that hangs leaves a thread of the client behind, which must not keep us.
    os._exit(code)
