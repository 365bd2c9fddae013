"""One local exchange for all fault tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.exchange import LocalExchange


@pytest.fixture(scope="module")
def exchange() -> Iterator[LocalExchange]:
    """A running local exchange."""
    server = LocalExchange()
    server.start()
    yield server
    server.stop()
