"""The strategy's handlers: one after the other, and none that fails goes unnoticed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, Final, cast

_LOG: Final = logging.getLogger(__name__)

Row = tuple[str, dict[str, Any]]
"""Kind and event, as the journal takes them."""


def guarded[F: Callable[..., None]](handler: F) -> F:
    """Run handlers one after the other, and break the circuit.

    The engine may deliver an event inside our own call to it (a cancel announces ``OrderPendingCancel`` while the
    strategy is still borrowed, when no engine attribute can be read): such an event waits until the running handler
    has ended. The engine logs a handler's exception and trades on; here it halts the strategy.
    """

    @wraps(handler)
    def one_by_one(self: Any, *args: Any, **kwargs: Any) -> None:
        waiting = self._waiting
        waiting.append(partial(handler, self, *args, **kwargs))
        if len(waiting) > 1:  # a handler is running
            return
        while waiting:
            try:
                waiting[0]()
            except Exception as error:  # whatever it is, it must not trade on
                self.errors.append(error)
                self.halt(f"{handler.__name__} failed: {type(error).__name__}: {error}")
                _LOG.exception("circuit breaker")
            finally:
                waiting.popleft()

    return cast("F", one_by_one)


def but_for[F: Callable[..., None]](kind: type[Any]) -> Callable[[F], F]:
    """Leave events of one kind out, before anything is done for them."""

    def leaving_out(handler: F) -> F:
        @wraps(handler)
        def told(self: Any, event: Any) -> None:
            if type(event) is not kind:
                handler(self, event)

        return cast("F", told)

    return leaving_out


def noted[F: Callable[..., Any]](handler: F) -> F:
    """Journal what a handler did and was told (``_rows``) when the outermost one ends, however it ends.

    Orders go first, and do not wait for the disk. What the journal does not take stays, and is given to it again at the
    end of the next handler.
    """

    @wraps(handler)
    def noting(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._depth += 1
        try:
            return handler(self, *args, **kwargs)
        finally:
            self._depth -= 1
            if not self._depth and self._rows:
                self._journal.keep_all(self._rows)
                self._rows = []

    return cast("F", noting)
