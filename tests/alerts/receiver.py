"""A server on this machine that takes alerts, as a messenger would."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

from trading_assets.settings import Settings

TOKEN = "4815162342-madeUpToken"
"""Stands in the address: nothing that anybody reads may have it."""


@dataclass
class Receiver:
    """What was received, and how it answers.

    Attributes
    ----------
    status
        The answer.
    held
        Answers wait for it.
    """

    port: int = 0
    status: int = 200
    got: list[dict[str, Any]] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Its address, for apprise."""
        return f"json://user:{TOKEN}-secret@127.0.0.1:{self.port}/{TOKEN}"

    @property
    def titles(self) -> list[str]:
        """What it was told, in short."""
        return [str(one["title"]) for one in self.got]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A server within a block."""
    receiver = Receiver()
    receiver.held.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.held.wait(300)
            if receiver.status == 200:
                receiver.got.append(json.loads(body))
            self.send_response(receiver.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield receiver
        finally:
            receiver.held.set()
            server.shutdown()


def told_by(settings: Settings, **changes: Any) -> Settings:
    """The settings with a channel ``chat``, or with other alerts."""
    alerts = {"channels": {"chat": {"url_variable": "CHAT_ALERT_URL", "min_level": "info"}}} | changes
    return settings.model_copy(update={"alerts": type(settings.alerts).model_validate(alerts)})


@contextmanager
def mailbox() -> Iterator[tuple[str, list[EmailMessage]]]:
    """A mail server on this machine within a block: its address for apprise, and what it was sent."""
    got: list[EmailMessage] = []

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 here")
            for line in self.rfile:
                word = line[:4].upper()
                if word == b"DATA":
                    self.say("354 go on")
                    body = b"".join(iter(self.rfile.readline, b".\r\n"))
                    got.append(message_from_bytes(body, policy=policy.default))
                self.say("221 bye" if word == b"QUIT" else "250 yes")
                if word == b"QUIT":
                    return

        def say(self, words: str) -> None:
            self.wfile.write(words.encode() + b"\r\n")

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        port = server.server_address[1]
        yield f"mailto://127.0.0.1:{port}?from=node@desk.example&to=me@desk.example&mode=insecure", got
        server.shutdown()
        thread.join()
