"""The challengers in use: versions that decide in shadow beside the model that trades."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import structlog

from trading_assets.core.errors import ModelError, TradingError
from trading_assets.registry.deployment import DeployedModel, read_manifest
from trading_assets.settings import Settings
from trading_assets.strategies.signals import Stream
from trading_live.node.decisions.admission import Admission, ModelInUse
from trading_live.node.decisions.deployed_models import Tell, manifest_stamp

_LOG: Final = structlog.get_logger(__name__)
_BETWEEN_CLOSES: Final = range(10, 50)
"""Seconds of a minute in which a bundle is read: bars close, and are decided on, around whole minutes."""

_Key = tuple[str, int]


class Challengers:
    """Follows what the deployment manifest names as challengers, at the cost of nothing that trades.

    They pass what a deployed model must pass. They are taken one after the other, each tried in a process of its own
    while nobody waits for it, and read between two closes. One that does not pass, or fails later, is set aside and
    told once; it is looked at again when the manifest names it anew.

    Parameters
    ----------
    settings
        Data folder and live folder.
    tell
        Told of every challenger that comes, goes or is set aside.
    historic
        Whether bars carry times of the past: then no second is better than another to read a bundle.
    now
        This machine's clock.
    """

    def __init__(
        self,
        settings: Settings,
        tell: Tell,
        *,
        historic: bool,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._tell = tell
        self._historic = historic
        self._now = now
        self._admission = Admission(settings)
        self._seen: tuple[int, int] | None = None
        self._wanted: dict[_Key, DeployedModel] = {}
        self._in_use: dict[_Key, ModelInUse] = {}
        self._models: tuple[ModelInUse, ...] = ()
        self._needed: dict[Stream, int] = {}
        self._aside: dict[_Key, tuple[DeployedModel, str]] = {}
        self._short: set[str] = set()
        self._behind = False

    @property
    def models(self) -> tuple[ModelInUse, ...]:
        """The challengers in use, by name and version."""
        return self._models

    @property
    def refusals(self) -> dict[str, str]:
        """Challenger -> why it is set aside."""
        return {_name(deployed): why for deployed, why in self._aside.values()}

    def listen_to(self, streams: Iterable[Stream]) -> None:
        """Set challengers of other bars aside from now on."""
        self._admission.listen_to(streams)

    def hold(self, series: Iterable[tuple[str, str]]) -> None:
        """Set challengers aside that read other auxiliary series from now on."""
        self._admission.hold(series)

    def refresh(self) -> None:
        """Look at the manifest, and take the next challenger that it names; waits for nothing."""
        stamp = manifest_stamp(self._settings.live_dir)
        if stamp != self._seen:
            try:
                named = self._named()
            except ModelError:
                return  # told by who reads the models that trade; what is in use stays
            self._seen = stamp
            self._want(named)
        if (self._historic or self._now().second in _BETWEEN_CLOSES) and self._take_next():
            self._take_next()  # begins the next one's trial, which has ended by the next look

    def bars_needed(self, stream: Stream) -> int:
        """How many bars of a stream those in use look back on."""
        return self._needed.get(stream, 0)

    def named(self) -> list[ModelInUse]:
        """Those that the manifest names, as far as their bundles can be read."""
        found: list[ModelInUse] = []
        with suppress(ModelError):
            for deployed in self._named().values():
                with suppress(TradingError):
                    found.append(self._admission.read(deployed))
        return found

    def look_backs(self) -> dict[Stream, int]:
        """Stream -> how many bars those that the manifest names look back on, as far as their bundles can be read."""
        found: dict[Stream, int] = {}
        for model in self.named():
            _reach(found, model)
        return found

    def lacks_bars(self, model: ModelInUse, held: int) -> bool:
        """Whether too few bars are held for a challenger; told once."""
        if held >= (needed := model.look_back):
            return False
        if model.name not in self._short:
            self._short.add(model.name)
            self._say("challenger waits", f"{model.name}: {held:,} of {needed:,} bars; a node started anew loads them")
        return True

    def fall_behind(self, waiting: int) -> None:
        """Tell once that bars come faster than challengers can be asked."""
        if not self._behind:
            self._behind = True
            self._say("challengers fall behind", f"{waiting:,} closes wait: the oldest are left out", warning=True)

    def fail(self, model: ModelInUse, why: str) -> None:
        """Set a challenger aside that cannot answer any more."""
        key = model.deployed.model, model.deployed.version
        if self._in_use.get(key) is model:
            del self._in_use[key]
            self._assign()
            self._set_aside(key, model.deployed, why)

    def _named(self) -> dict[_Key, DeployedModel]:
        named = read_manifest(self._settings.live_dir).challengers
        return {(one.model, one.version): one for several in named.values() for one in several}

    def _want(self, wanted: dict[_Key, DeployedModel]) -> None:
        for key, model in list(self._in_use.items()):
            if wanted.get(key) != model.deployed:
                del self._in_use[key]
                self._say("challenger withdrawn", model.name)
        self._aside = {key: one for key, one in self._aside.items() if wanted.get(key) == one[0]}
        self._wanted = wanted
        self._assign()

    def _assign(self) -> None:
        """What a pass asks for, made when something changes."""
        self._models = tuple(self._in_use[key] for key in sorted(self._in_use))
        self._needed = {}
        for model in self._models:
            _reach(self._needed, model)

    def _take_next(self) -> bool:
        """Take the next challenger or set it aside; False while it is being tried, or where there is none."""
        waiting = (key for key in self._wanted if key not in self._in_use and key not in self._aside)
        if (key := next(waiting, None)) is None:
            return False
        deployed = self._wanted[key]
        try:
            model = self._admission.admit(deployed, wait=False)
        except TradingError as error:
            self._set_aside(key, deployed, str(error))
        except Exception as error:  # whatever it is: nothing of a challenger is the node's trouble
            self._set_aside(key, deployed, f"it cannot be read: {type(error).__name__}: {error}")
        else:
            if model is None:
                return False
            self._in_use[key] = model
            self._assign()
            self._say("challenger in shadow", f"{model.name}, bundle {deployed.bundle_hash[:16]}")
        return True

    def _set_aside(self, key: _Key, deployed: DeployedModel, why: str) -> None:
        self._aside[key] = deployed, why
        self._say("challenger set aside", f"{_name(deployed)}: {why}", warning=True)

    def _say(self, event: str, detail: str, *, warning: bool = False) -> None:
        (_LOG.warning if warning else _LOG.info)(event, detail=detail)
        self._tell(event, detail)


def _reach(needed: dict[Stream, int], model: ModelInUse) -> None:
    for stream in model.streams:
        needed[stream] = max(model.look_back, needed.get(stream, 0))


def _name(deployed: DeployedModel) -> str:
    return f"{deployed.model} v{deployed.version}"
