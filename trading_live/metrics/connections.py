"""The engine's own word on its connections and queues, counted by an actor beside the strategy."""

from __future__ import annotations

from typing import Any

from nautilus_trader.common import DataActor, QueueState, SocketState

from trading_live.metrics.counting import Counts, unfailing


class Connections(DataActor):
    """Counts reconnects, and notes how deep the engine's queues are when it warns of them.

    Parameters
    ----------
    counts
        Told of every reconnect.

    Attributes
    ----------
    connected
        Connection -> whether it stands.
    depths
        Queue -> its depth when the engine warned; 0 when it cleared.
    """

    def __new__(cls, *_: Any, **__: Any) -> Connections:
        """The engine's base class takes its own config at this point."""
        return super().__new__(cls)

    def __init__(self, counts: Counts) -> None:
        super().__init__()
        self._counts = counts
        self.connected: dict[tuple[str, str], bool] = {}
        self.depths: dict[str, int] = {}

    def on_start(self) -> None:
        """Listen to the engine."""
        self.subscribe_socket_state()
        self.subscribe_queue_state()

    @unfailing
    def on_socket_state(self, event: Any) -> None:
        """A connection was lost, or made: again, where it stood or was lost before."""
        key = event.client_id.value, event.endpoint
        stands = event.state == SocketState.CONNECTED
        if stands and key in self.connected:
            self._counts.reconnected(event.client_id.value)
        self.connected[key] = stands

    @unfailing
    def on_queue_state(self, event: Any) -> None:
        """A queue of the engine is long, or no longer."""
        triggered = event.state == QueueState.TRIGGERED
        self.depths[event.channel.name.lower()] = event.queue_depth if triggered else 0
