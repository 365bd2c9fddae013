"""A small local web server: answers by a function, and misbehaves on demand."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, Any]
"""Status, and what becomes the body: bytes as they are, everything else as JSON."""


class LocalWeb:
    """Each request takes the next fault, if there is one, else what ``answer(path, query)`` gives."""

    def __init__(self, answer: Callable[[str, dict[str, str]], Answer]) -> None:
        self.answer = answer
        self.faults: deque[str] = deque()
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests.append(handler.path)
        self.headers.append(dict(handler.headers))
        split = urlsplit(handler.path)
        status, body = self.answer(split.path, {name: values[0] for name, values in parse_qs(split.query).items()})
        extra: dict[str, str] = {}
        match self.faults.popleft() if self.faults else "":
            case "drop":
                handler.connection.close()
                return
            case "truncated":
                body = json.dumps(body).encode()[:-5]
            case "html":
                body = b"<html>maintenance</html>"
            case "429":
                status, body = 429, {"status": "ERROR", "error": "You've exceeded the maximum requests per minute"}
            case "429 asks":
                status, body, extra = 429, {"error": "slow down"}, {"Retry-After": "7"}
            case "429 for hours":
                status, body, extra = 429, {"error": "slow down"}, {"Retry-After": "7200"}
            case "moved":
                status, body, extra = 302, {}, {"Location": "http://127.0.0.1:1/elsewhere"}
            case number if number.isdigit():
                status, body = int(number), {"status": "ERROR"}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **extra}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)


@contextmanager
def serving(answer: Callable[[str, dict[str, str]], Answer]) -> Iterator[LocalWeb]:
    """Serve on a free port of this machine."""
    web = LocalWeb(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web.respond(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    web.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)
