"""The node's heartbeat, as somebody else sees it: a process that is gone tells nothing itself."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Final

from trading_assets.alerts.alert import Alert, Level
from trading_assets.alerts.outgoing import is_recent
from trading_assets.alerts.sources.contract import Looked
from trading_assets.alerts.sources.registry import register
from trading_assets.settings import Settings

HEARTBEAT_FILE: Final = "node.json"
"""In the live folder; the node writes it once a second."""

KEY: Final = "node/heartbeat"


@register
class HeartbeatSource:
    """A node that stopped without saying so is critical; one that ended in order, or never ran, is none."""

    name = "heartbeat"

    def look(self, settings: Settings, now: datetime) -> Looked:
        """See :class:`Source`."""
        try:
            told = json.loads((settings.live_dir / HEARTBEAT_FILE).read_bytes())
            at, state, pid = datetime.fromisoformat(told["beat_at"]), str(told["state"]), told["pid"]
        except FileNotFoundError:
            return Looked()
        except (ValueError, KeyError, TypeError):
            found = Alert(Level.CRITICAL, "the node's heartbeat cannot be read", str(settings.live_dir), key=KEY)
            return Looked((found,), (KEY,))
        span = timedelta(seconds=settings.alerts.heartbeat_s)
        if state == "stopped" or (is_recent(min(at, now), now, span) and at - now < span):
            return Looked(covers=(KEY,))
        held = ", ".join(told.get("open_markets") or ()) or "nothing"
        found = Alert(
            Level.CRITICAL,
            f"no heartbeat of the node (process {pid}) since {at:%Y-%m-%d %H:%M:%S} UTC; open by its last word: {held}",
            str(settings.live_dir),
            "trading status says more; start the node again, or with --close-only, which closes and ends",
            KEY,
        )
        return Looked((found,), (KEY,))
