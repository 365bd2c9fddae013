"""An alert as it arrives: a node is killed, ``trading alerts watch`` sees it, and tells a web hook on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import typer

from trading_assets.core.errors import TradingError
from trading_assets.settings import PROJECT_ROOT

_CHANNEL: Final = {"chat": {"url_variable": "CHAT_ALERT_URL"}}
_NOTE: Final = "As a web hook on this machine received it; drawn by matplotlib."


def draw_alert(node: subprocess.Popen[bytes], file: Path) -> None:
    """Kill a node, and draw what a channel is told of it.

    Raises
    ------
    TradingError
        If nothing was told.
    """
    node.kill()
    node.wait()
    with _hook() as (address, told):
        variables = {"TRADING_ALERTS__CHANNELS": json.dumps(_CHANNEL), "CHAT_ALERT_URL": address}
        command = [sys.executable, "-m", "trading_cli", "alerts", "watch"]
        watched = subprocess.run(command, cwd=PROJECT_ROOT, env=os.environ | variables, capture_output=True, text=True)
    if not told:
        raise TradingError(f"no alert came of a node that was killed: {watched.stdout}{watched.stderr}")
    _draw(told[0], file)
    typer.echo(f"{file}: {told[0]['title']}")


@contextmanager
def _hook() -> Iterator[tuple[str, list[Mapping[str, str]]]]:
    """The address of a channel, and the messages that came there."""
    told: list[Mapping[str, str]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"json://127.0.0.1:{server.server_port}", told
    finally:
        server.shutdown()
        server.server_close()


def _draw(message: Mapping[str, str], file: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    title = textwrap.wrap(message["title"], 72)
    body = [part for line in message["message"].splitlines() for part in textwrap.wrap(line, 100) or [""]]
    height = 0.9 + 0.32 * len(title) + 0.26 * len(body)
    figure = Figure(figsize=(10, height), facecolor="#f4f5f5")
    FigureCanvasAgg(figure)
    place = figure.add_axes((0, 0, 1, 1), xlim=(0, 10), ylim=(height, 0))
    place.set_axis_off()
    card = FancyBboxPatch((0.3, 0.3), 9.4, height - 0.6, boxstyle="round,pad=0.1", facecolor="white")
    card.set_edgecolor("#d0d4dc")
    place.add_patch(card)
    at = 0.5
    for line in title:
        place.text(0.5, at, line, fontsize=12.5, weight="bold", va="center")
        at += 0.32
    for line in body:
        place.text(0.5, at + 0.05, line, fontsize=9.5, family="monospace", va="center")
        at += 0.26
    place.text(9.6, height - 0.42, _NOTE, fontsize=7, color="#777777", ha="right", va="center")
    figure.savefig(file, dpi=100)
