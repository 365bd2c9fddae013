"""A port for a program that does not say which one it took."""

from __future__ import annotations

import itertools
import os
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_WIDTH = 8_000
_tried = itertools.count(os.getpid() * 97)


def free_port() -> int:
    """One that nobody listens on, below those that the system gives to whoever asks for any: they go fast."""
    top = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32_768
    for number in itertools.islice(_tried, _WIDTH):
        port = top - 1 - number % _WIDTH
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise OSError("no port is free")
