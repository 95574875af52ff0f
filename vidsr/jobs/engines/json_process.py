"""A process that takes JSON lines on stdin and answers with JSON lines on stdout, and a thread that listens to it."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


class JsonProcess:
    """One process; ``hear`` gets each of its messages in a thread of its own, and None when it has ended.

    What it writes to stderr is appended to ``log``. ``translate`` is applied to each line before it is read.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: dict[str, str],
        log: Path,
        hear: Callable[[dict[str, Any] | None], None],
        *,
        translate: Callable[[str], str] = str,
    ) -> None:
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                encoding="utf-8",
                env=environment,
            )
        self._hear, self._translate = hear, translate
        self._listener = threading.Thread(target=self._listen, daemon=True, name="vidsr-listener")
        self._listener.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def send(self, message: dict[str, Any]) -> None:
        """Send one message; if the process is gone, its listener notices."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except OSError:
            return

    def end(self, *, kill: bool = True) -> int:
        """Kill the process unless it ends by itself, and wait for it; its exit code."""
        if kill:
            self._process.kill()
        code = self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue
        return code

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                message = json.loads(self._translate(line))
            except ValueError:
                self._process.kill()  # truncated because the process died, or not valid JSON
                break
            self._hear(message)
        self._hear(None)


def describe_exit(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
