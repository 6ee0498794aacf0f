"""A command that runs beside Slicer, with its lines, and the end of everything it started.

Nothing of Slicer is imported here: the caller polls from its own thread.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Seconds that a command has to leave by itself before it is killed.
GRACE_S = 3.0
#: Seconds to wait for the rest of the output when the command has ended but something it started holds its pipes.
DRAIN_S = 1.0
#: What the system says of a group that is gone; macOS: "not permitted", while its ended processes wait to be collected.
_GONE = (ProcessLookupError, PermissionError)


@dataclass(frozen=True)
class Line:
    """One line of output.

    Attributes:
        text: Without the line break.
        is_error: Whether it came on the error stream.
    """

    text: str
    is_error: bool


class BackgroundCommand:
    """A child process in a group of its own; two threads read its output, `poll` hands it out.

    Args:
        command: Program and arguments.
        environment: Of the child; None: that of this process.

    Raises:
        OSError: the program cannot be started.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        if os.name == "nt":
            group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
        else:
            group = {"start_new_session": True}
        self._lines: queue.Queue[Line | None] = queue.Queue()
        self._process = subprocess.Popen(
            list(command),
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            bufsize=1,
            **group,
        )
        self._open_streams = 2
        self._ended_at: float | None = None
        self._kill_at: float | None = None
        self.cancelled = False
        for stream, is_error in ((self._process.stdout, False), (self._process.stderr, True)):
            threading.Thread(target=self._read, args=(stream, is_error), daemon=True).start()

    @property
    def pid(self) -> int:
        """Number of the child process."""
        return self._process.pid

    def poll(self) -> tuple[list[Line], int | None]:
        """The lines since the last call, and the exit code, or None while the command runs."""
        lines = []
        while True:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                break
            if line is None:
                self._open_streams -= 1
            else:
                lines.append(line)
        code = self._process.poll()
        now = time.monotonic()
        if self._kill_at is not None and (code is None or self._group_is_alive()):
            if now < self._kill_at:
                return lines, None
            # The command may be gone and something that it started not.
            self._signal_group(kill=True)
            self._kill_at = None
        if code is None:
            return lines, None
        if self._ended_at is None:
            self._ended_at = now
        if self._open_streams and now - self._ended_at < DRAIN_S:
            return lines, None
        return lines, code

    def cancel(self) -> None:
        """Ask the command and everything it started to end; who does not within `GRACE_S` is killed by `poll`."""
        self.cancelled = True
        if self._process.poll() is None:
            self._signal_group(kill=False)
            self._kill_at = time.monotonic() + GRACE_S

    def kill(self) -> None:
        """End the command and everything it started at once, and wait until the command is gone."""
        self.cancelled = True
        if self._process.poll() is None:
            self._signal_group(kill=True)
        self._process.wait()

    def _group_is_alive(self) -> bool:
        if os.name == "nt":
            return False
        try:
            os.killpg(self._process.pid, 0)
        except _GONE:
            return False
        return True

    def _signal_group(self, kill: bool) -> None:
        if os.name == "nt":
            # The launcher's child does not die with the launcher: /T ends the tree. There is no gentle way.
            # Its words are in the code page of the console, and nobody reads them.
            subprocess.run(
                ["taskkill", "/T", "/F", "/PID", str(self._process.pid)],
                check=False,
                capture_output=True,
                creationflags=subprocess.CREATE_NO_WINDOW,
            )
            return
        with contextlib.suppress(*_GONE):
            os.killpg(self._process.pid, signal.SIGKILL if kill else signal.SIGTERM)

    def _read(self, stream, is_error: bool) -> None:
        with stream:
            for text in stream:
                self._lines.put(Line(text.rstrip("\r\n"), is_error))
        self._lines.put(None)
