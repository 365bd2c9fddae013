"""The strategy's handlers: one after the other, and none that fails goes unnoticed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, Final, cast

_LOG: Final = logging.getLogger(__name__)


def guarded[F: Callable[..., None]](handler: F) -> F:
    """Run handlers one after the other, and break the circuit.

    The engine may deliver an event inside our own call to it (a cancel announces ``OrderPendingCancel`` while the
    strategy is still borrowed, when no engine attribute can be read): such an event waits until the running handler
    has ended. The engine logs a handler's exception and trades on; here it halts the strategy.
    """

    @wraps(handler)
    def one_by_one(self: Any, *args: Any, **kwargs: Any) -> None:
        self._waiting.append(partial(handler, self, *args, **kwargs))
        if len(self._waiting) > 1:  # a handler is running
            return
        while self._waiting:
            try:
                self._waiting[0]()
            except Exception as error:  # whatever it is, it must not trade on
                self.errors.append(error)
                self.halt(f"{handler.__name__} failed: {type(error).__name__}: {error}")
                _LOG.exception("circuit breaker")
            finally:
                self._waiting.popleft()

    return cast("F", one_by_one)
