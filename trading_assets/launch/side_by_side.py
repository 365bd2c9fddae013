"""Work of different groups side by side, work of one group one after the other."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

PATIENCE_S: Final = 10.0
"""How long works that were asked to stop are waited for."""


def side_by_side[T](
    works: Mapping[str, Callable[[], T]], *, group: Callable[[str], str], stop: Callable[[], None] = lambda: None
) -> Iterator[T]:
    """Do the works, a thread per group, and yield each result as it is there.

    A single group is worked on in the caller's thread. What a work raises is raised here. Works that go on then, and
    after an interrupt, are asked to stop and waited for; those that do not listen end with the process.
    """
    groups: dict[str, list[Callable[[], T]]] = {}
    for name, work in works.items():
        groups.setdefault(group(name), []).append(work)
    if len(groups) <= 1:
        for work in works.values():
            yield work()
        return
    done: queue.SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = queue.SimpleQueue()
    stopped = threading.Event()
    threads = [threading.Thread(target=_work, args=(mine, done, stopped), daemon=True) for mine in groups.values()]
    for thread in threads:
        thread.start()
    try:
        for _ in works:
            result, error = done.get()
            if error is not None:
                raise error
            yield result  # type: ignore[misc]
    except BaseException:
        stopped.set()
        stop()
        _wait(threads)
        raise


def _work[T](
    works: list[Callable[[], T]],
    done: queue.SimpleQueue[tuple[T, None] | tuple[None, BaseException]],
    stopped: threading.Event,
) -> None:
    for work in works:
        if stopped.is_set():
            return
        try:
            done.put((work(), None))
        except BaseException as error:
            done.put((None, error))
            return


def _wait(threads: list[threading.Thread]) -> None:
    ends = time.monotonic() + PATIENCE_S
    for thread in threads:
        thread.join(max(ends - time.monotonic(), 0.0))
