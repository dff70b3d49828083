"""The emulator as a child process which ends with this one."""

import queue
import subprocess
import threading

# The emulator has nothing to load: longer than this and it is not going to accept.
START_SECONDS = 30


class Emulator:
    """Starts the binary on a free port of the loopback and reads its two lines."""

    def __init__(self, path, hubs):
        command = [path, "--amqp", "127.0.0.1:0"]
        for name, partitions in hubs.items():
            command += ["--hub", f"{name}:{partitions}"]
        # The binary exits at the end of its standard input, however this process ends.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            ready = self._line()
            words = ready.split()
            if not words or words[0] != "ready" or not words[1:][0].startswith("amqp="):
                raise RuntimeError(f"expected `ready amqp=HOST:PORT`, got {ready!r}")
            self.connection_string = self._line()
            if "UseDevelopmentEmulator=true" not in self.connection_string:
                raise RuntimeError("the connection string lacks UseDevelopmentEmulator=true")
        except BaseException:
            self.stop()
            raise

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line.strip())
        self._lines.put(None)

    def _line(self):
        try:
            line = self._lines.get(timeout=START_SECONDS)
        except queue.Empty:
            raise RuntimeError(f"the emulator said nothing for {START_SECONDS} s") from None
        if line is None:
            raise RuntimeError(f"the emulator ended with status {self._process.wait()}")
        return line

    def alive(self):
        """Whether the process is still running."""
        return self._process.poll() is None

    def stop(self):
        """Ends the child: by the end of its input, or by force when it ignores that."""
        self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
