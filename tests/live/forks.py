"""Processes of the node that begin where the imports end: forked from one that has imported everything.

To import the node costs more than to run it through a short world. The parent imports, and starts no thread of its own;
each life of a node is a fork of it: a process like any other, to be killed, with its own environment, arguments and
output. A test of the command itself starts that instead.
``python -m tests.live.forks`` is that parent; it ends with its standard input, hence with whoever started it, and its
children with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import importlib
import json
import os
import queue
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trading_assets.features import LIVE_ENVIRONMENT, fingerprint, warm_up

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1") | dict(LIVE_ENVIRONMENT)
"""Of the parent: a pool of threads does not survive a fork."""
IMPORTED = (
    "ccxt",
    "lightgbm",
    "nautilus_trader.adapters.binance",
    "trading_live.execution.at_venue",
    "trading_live.execution.permission",
    "trading_live.node.node",
    "trading_live.replay.orders.keys",
    "trading_live.venues.account.open",
    "trading_live.venues.replay",
)
LOOK_S = 0.02
PATIENCE_S = 300.0
_DEATH_OF_PARENT = 1
"""``PR_SET_PDEATHSIG``"""


class Forked:
    """One process of the node; as much of ``subprocess.Popen`` as tests need."""

    def __init__(self, pid: int, output: Path) -> None:
        self.pid, self.output = pid, output
        self.returncode: int | None = None
        self._ended = threading.Event()

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self.returncode

    def wait(self, seconds: float = PATIENCE_S) -> int:
        """Wait for its end."""
        if not self._ended.wait(seconds):
            raise AssertionError(f"the node has not ended within {seconds:g} s: {self.said}")
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Where it still runs: its number is free only when its end is known here."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def communicate(self, timeout: float = PATIENCE_S) -> tuple[str, None]:
        """Wait for its end, and read all that it has written."""
        self.wait(timeout)
        return self.output.read_text(errors="replace"), None

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """As the system does."""
        self.send_signal(signal.SIGKILL)

    def end_with(self, code: int) -> None:
        """Its end is known."""
        self.returncode = code
        self._ended.set()

    @property
    def said(self) -> str:
        """The end of what it has written."""
        return self.output.read_text(errors="replace")[-500:]


class Forks:
    """The parent, and those that it has forked; to be used by several threads.

    Attributes
    ----------
    cpu_s
        Processor time of the processes that have ended.
    """

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self._lock = threading.Lock()
        self._asked: queue.SimpleQueue[Path] = queue.SimpleQueue()
        self._started: queue.SimpleQueue[Forked] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            env=os.environ | ONE_THREAD,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def start(
        self, environment: Mapping[str, str], output: Path, *arguments: str, module: str = "trading_live"
    ) -> Forked:
        """Start ``python -m module arguments`` with this environment, in this process's folder."""
        assert self._process.stdin is not None
        words = [module, *arguments]
        asked = {"environment": dict(environment), "output": str(output), "words": words, "folder": str(Path.cwd())}
        with self._lock:  # one after the other: the answers come in order
            self._asked.put(output)
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            return self._started.get(timeout=PATIENCE_S)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        running: dict[int, Forked] = {}
        for line in self._process.stdout:
            kind, pid, *rest = line.split()
            if kind == "started":
                running[int(pid)] = one = Forked(int(pid), self._asked.get())
                self._started.put(one)
            else:
                self.cpu_s += float(rest[1])
                running.pop(int(pid)).end_with(int(rest[0]))


@functools.cache
def parent() -> Forks:
    """That of this process, which lasts as long as it does."""
    return Forks()


# -- the parent -------------------------------------------------------------------------------------------------------


def serve() -> None:
    """Fork a node for each line of standard input, and say when it starts and ends."""
    for name in IMPORTED:
        importlib.import_module(name)
    warm_up()
    fingerprint()
    gc.collect()
    gc.freeze()  # what is shared by all stays shared
    answers, waiting = os.dup(1), ""
    os.dup2(2, 1)
    while True:
        if select.select([0], [], [], LOOK_S)[0]:
            if not (read := os.read(0, 1 << 16).decode()):
                return
            *lines, waiting = (waiting + read).split("\n")
            for line in lines:
                os.write(answers, f"started {_fork(json.loads(line), answers)}\n".encode())
        with contextlib.suppress(ChildProcessError):
            while (ended := os.wait4(-1, os.WNOHANG))[0]:
                pid, status, used = ended
                code = os.waitstatus_to_exitcode(status)
                os.write(answers, f"ended {pid} {code} {used.ru_utime + used.ru_stime:.3f}\n".encode())


def _fork(asked: dict[str, Any], answers: int) -> int:
    if pid := os.fork():
        return pid
    code = 1
    try:
        _die_with_parent()
        os.close(answers)
        os.environ.clear()
        os.environ.update(asked["environment"])
        tempfile.tempdir = None  # by the environment again
        output = os.open(asked["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for there, here in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(there, here)
        os.chdir(asked["folder"])
        module, *sys.argv[1:] = asked["words"]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DEATH_OF_PARENT, signal.SIGKILL)


if __name__ == "__main__":
    serve()
