"""The page on a local port, for Prometheus to scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from prometheus_client import CollectorRegistry, start_http_server

_LOG = structlog.get_logger(__name__)


@contextmanager
def serving(
    registry: CollectorRegistry, host: str, port: int | None, tell: Callable[[str, str], None]
) -> Iterator[int | None]:
    """Serve within the block, in a thread of its own; a port that cannot be had is told, and stops nothing.

    Parameters
    ----------
    registry
        What is shown.
    host, port
        Where; no port serves nothing, 0 takes a free one.
    tell
        (event, detail): into the node's journal.

    Yields
    ------
    int or None
        The port; None where nothing is served.
    """
    if port is None:
        yield None
        return
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        why = f"{host}:{port}: {error.strerror or error}; choose another node.metrics_port"
        _LOG.warning("metrics not served", why=why)
        tell("metrics not served", why)
        yield None
        return
    tell("metrics served", f"http://{host}:{server.server_port}/metrics")
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
