"""The official Python client, unmodified, against our emulator on plaintext.

    run.py [--quick] [--only NAME] --emulator PATH

Needs `pip install -r interop/requirements.txt`. Prints `ok NAME` or `FAIL NAME: reason` for each
case and ends with `N passed, M failed`; the exit code is 1 when anything failed.
"""

import argparse
import importlib.metadata
import os
import sys
import threading
import time
import traceback

CLIENT = ("azure-eventhub", "5.15.1")
# A case which has not come back by then has failed; the others still run.
CASE_SECONDS = 60


def client_version():
    """The installed version of the client, or None."""
    try:
        return importlib.metadata.version(CLIENT[0])
    except importlib.metadata.PackageNotFoundError:
        return None


def outcome_of(case, world):
    """Runs one case in a thread; the reason it failed, or None."""
    reasons = []

    def target():
        try:
            case.run(world)
        except AssertionError as error:
            reasons.append(str(error) or traceback.format_exc(limit=-1))
        except Exception as error:  # whatever the client raises is the finding
            reasons.append(f"{type(error).__name__}: {error}")

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join(timeout=CASE_SECONDS)
    if thread.is_alive():
        return f"no result within {CASE_SECONDS} s"
    if not world.emulator.alive():
        reasons.append("the emulator has ended")
    return " / ".join(" ".join(reason.split()) for reason in reasons) or None


def run(arguments):
    """Runs every selected case; true when all passed."""
    # Imported here so that a missing client is said plainly and not as a traceback.
    import cases
    from emulator import Emulator

    emulator = Emulator(arguments.emulator, cases.HUBS)
    passed = failed = 0
    try:
        world = cases.World(emulator)
        for case in cases.ALL:
            if (arguments.quick and not case.quick) or arguments.only not in (None, case.name):
                continue
            began = time.monotonic()
            reason = outcome_of(case, world)
            seconds = time.monotonic() - began
            if reason is None:
                passed += 1
                print(f"ok {case.name} ({seconds:.1f} s)", flush=True)
            else:
                failed += 1
                print(f"FAIL {case.name}: {reason}", flush=True)
    finally:
        emulator.stop()
    print(f"{passed} passed, {failed} failed", flush=True)
    return failed == 0 and passed > 0


def main():
    """Reads the command line and runs; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--emulator", required=True, metavar="PATH", help="the emulator binary")
    parser.add_argument("--quick", action="store_true", help="leave out the long cases")
    parser.add_argument("--only", metavar="NAME", help="run one case")
    arguments = parser.parse_args()
    version = client_version()
    if version != CLIENT[1]:
        found = "is not installed" if version is None else f"is {version}, not {CLIENT[1]}"
        print(f"{CLIENT[0]} {found}: pip install -r interop/requirements.txt", flush=True)
        return 2
    try:
        return 0 if run(arguments) else 1
    except (OSError, RuntimeError) as error:
        print(f"FAIL start: {error}\n0 passed, 1 failed", flush=True)
        return 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # A case that hangs leaves a thread of the client behind, which must not keep us.
    os._exit(code)
