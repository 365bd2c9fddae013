"""A small server that answers as a venue's documentation says, and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from trading_assets.sources.transport.backoff import Backoff
from trading_live.venues.account.base import RestAccount
from trading_live.venues.account.keys import Credentials
from trading_live.venues.account.open import make_account

KEYS = Credentials("documented-key-0123456789", "ZG9jdW1lbnRlZC1zZWNyZXQtMDEyMzQ1Njc4OQ==", "documented-passphrase")

Answer = Any
"""JSON, or (status, JSON), or a function of the parameters that gives one of them."""


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    params: dict[str, Any]
    headers: dict[str, str]

    def params_of(self) -> list[tuple[str, Any]]:
        """Parameters and headers, by name."""
        params = list(self.params.items()) if isinstance(self.params, dict) else []
        return [*params, *self.headers.items()]


@dataclass
class Documented:
    """Path (with method) -> answer; ``asked`` is what came."""

    answers: Mapping[str, Answer]
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def paths(self) -> list[str]:
        return [f"{one.method} {one.path}" for one in self.asked]

    def params(self, path: str) -> dict[str, Any]:
        """Of the newest request for a path."""
        return next(one.params for one in reversed(self.asked) if f"{one.method} {one.path}" == path)


@contextmanager
def documented(answers: Mapping[str, Answer]):
    """Serve these answers on a local port."""
    venue = Documented(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length).decode()
            params: Any = dict(parse_qsl(parts.query))
            if body.startswith(("{", "[")):
                params = json.loads(body)
            elif body:
                params |= dict(parse_qsl(body))
            venue.asked.append(Asked(self.command, parts.path, params, dict(self.headers)))
            found = venue.answers.get(f"{self.command} {parts.path}")
            if callable(found):
                found = found(params)
            status, content = found if isinstance(found, tuple) else (200, found)
            if found is None:
                status, content = 404, {"msg": f"not documented: {self.command} {parts.path}", "code": -1}
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_DELETE = _answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    venue.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True)
    thread.start()
    try:
        yield venue
    finally:
        server.shutdown()
        server.server_close()


def account_at(
    venue: Documented,
    name: str,
    product: str,
    *markets: str,
    tell: Callable[[str, str], None] | None = None,
    attempts: int = 3,
    timeout_s: float = 20.0,
) -> RestAccount:
    """The account of a venue that the server stands for; it does not wait between attempts."""
    account = make_account(
        name,
        product,
        KEYS,
        markets,
        place=f"{name} documented",
        base_url=venue.url,
        timeout_s=timeout_s,
        waits=Backoff(attempts, 0.0, sleep=lambda _: None),
        tell=tell,
    )
    account._requests.client.enableRateLimit = False
    return account
