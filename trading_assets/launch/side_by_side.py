"""Work of different groups side by side, work of one group one after the other."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping


def side_by_side[T](works: Mapping[str, Callable[[], T]], *, group: Callable[[str], str]) -> Iterator[T]:
    """Do the works, a thread per group, and yield each result as it is there.

    A single group is worked on in the caller's thread. What a work raises is raised here; the threads end with the
    process, so that an interrupt ends them all.
    """
    groups: dict[str, list[Callable[[], T]]] = {}
    for name, work in works.items():
        groups.setdefault(group(name), []).append(work)
    if len(groups) <= 1:
        for work in works.values():
            yield work()
        return
    done: queue.SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = queue.SimpleQueue()

    def run(works: list[Callable[[], T]]) -> None:
        for work in works:
            try:
                done.put((work(), None))
            except BaseException as error:
                done.put((None, error))
                return

    for mine in groups.values():
        threading.Thread(target=run, args=(mine,), daemon=True).start()
    for _ in works:
        result, error = done.get()
        if error is not None:
            raise error
        yield result  # type: ignore[misc]
