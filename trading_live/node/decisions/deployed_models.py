"""The deployed models in use: read from the manifest, verified, swapped without a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import structlog

from trading_assets.core.errors import ModelError
from trading_assets.registry.deployment import MANIFEST, DeployedModel, Manifest, read_manifest
from trading_assets.settings import Settings
from trading_assets.strategies.signals import Stream
from trading_live.node.decisions.admission import Admission, ModelInUse

_LOG: Final = structlog.get_logger(__name__)

_ONE_OF_THEM: Final = "archive one of them (trading models archive), or give it another market or timeframe"

Tell = Callable[[str, str], None]
"""(event, detail): into the node's journal."""


class DeployedModels:
    """Follows the deployment manifest.

    A bundle that does not verify is refused: the version in use stays, and the refusal is told once. So is one whose
    model ends or holds up the process that tries it first, one of markets that the node does not listen to, and one on
    whose bars another model decides: a market has one position, and nobody could say whose it is.

    Parameters
    ----------
    settings
        Data folder and live folder.
    tell
        Told of every deployment, refusal and withdrawal.
    """

    def __init__(self, settings: Settings, tell: Tell) -> None:
        self.admission = Admission(settings)
        self._settings = settings
        self._tell = tell
        self._models: dict[str, ModelInUse] = {}
        self._streams: dict[Stream, ModelInUse] = {}
        self._refused: dict[str, str] = {}
        self._failed: dict[str, DeployedModel] = {}
        self._seen: tuple[int, int] | None = None
        self._broken = ""
        self._aside: dict[str, str] = {}

    @property
    def models(self) -> tuple[ModelInUse, ...]:
        """The models in use, by name."""
        return tuple(self._models[name] for name in sorted(self._models) if name not in self._aside)

    @property
    def leader(self) -> str | None:
        """The leading market of the settings, where the node's venue has it."""
        return self.admission.leader

    def leader_of(self, stream: Stream) -> str | None:
        """The market whose bars of the same timeframe a decision reads beside its own."""
        model, leader = self.of(stream), self.leader
        return leader if model is not None and model.follows and leader != stream.market else None

    @property
    def refusals(self) -> dict[str, str]:
        """Model -> why its deployed version is not in use; a manifest that cannot be read stands under its name."""
        return dict(self._refused) | self._aside | ({MANIFEST: self._broken} if self._broken else {})

    @property
    def without_models(self) -> str:
        """Why no model is in use."""
        reasons = "; ".join(self.refusals.values())
        return f"no model can be used: {reasons}" if reasons else "no model is deployed"

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The bars that the models in use decide on."""
        return tuple(self._streams)

    def of(self, stream: Stream) -> ModelInUse | None:
        """The model that decides on a market's bars of a timeframe."""
        return self._streams.get(stream)

    def trades(self, market: str) -> bool:
        """Whether a model decides on some bars of a market."""
        return any(stream.market == market for stream in self._streams)

    def listen_to(self, streams: Iterable[Stream]) -> None:
        """Refuse models of other bars from now on."""
        self.admission.listen_to(streams)

    def hold(self, series: Iterable[tuple[str, str]]) -> None:
        """Refuse models that read other auxiliary series from now on."""
        self.admission.hold(series)

    def refresh(self, *, wait: bool = True) -> bool:
        """Look at the manifest; whether a model changed.

        Parameters
        ----------
        wait
            Whether to wait for the trials of new bundles; else they are taken at a later call.
        """
        stamp = manifest_stamp(self._settings.live_dir)
        if stamp == self._seen and not self._refused and not self.admission.trying:
            return False
        manifest = self._read()
        if manifest is None:
            return False
        self._seen = stamp
        changed = [self._withdraw(name) for name in list(self._models) if name not in manifest.models]
        changed += [self._take(deployed, wait=wait) for deployed in manifest.models.values()]
        if any(changed):
            self._assign()
        return any(changed)

    def fail(self, model: ModelInUse, why: str) -> None:
        """Take a model out of use that cannot answer any more; another version of it may come into use."""
        name = model.deployed.model
        if self._models.get(name) is model:
            self._failed[name] = self._models.pop(name).deployed
            self._assign()
            self._refuse(model.deployed, why, None)

    def _assign(self) -> None:
        """Give each stream to one model: first to those that have some already, then in the order of deployment."""
        holding = {one.deployed.model for one in self._streams.values()}
        ordered = sorted(
            self._models.values(), key=lambda one: (one.deployed.model not in holding, one.deployed.deployed_at)
        )
        self._streams, aside = {}, dict[str, str]()
        for model in ordered:
            met = [(stream, self._streams[stream]) for stream in model.streams if stream in self._streams]
            if met:
                bars = " and ".join(f"{other.name} on {market} {timeframe}" for (market, timeframe), other in met)
                aside[model.deployed.model] = f"{model.name}: it would decide beside {bars}; {_ONE_OF_THEM}"
            else:
                self._streams |= dict.fromkeys(model.streams, model)
        for name, why in aside.items():
            if self._aside.get(name) != why:
                self._say("model refused", why, warning=True)
        self._aside = aside

    def _read(self) -> Manifest | None:
        try:
            manifest = read_manifest(self._settings.live_dir)
        except ModelError as error:
            if str(error) != self._broken:
                self._broken = str(error)
                self._say("manifest refused", str(error), warning=True)
            return None
        self._broken = ""
        return manifest

    def _withdraw(self, name: str) -> bool:
        self._say("model withdrawn", self._models.pop(name).name)
        return True

    def _take(self, deployed: DeployedModel, *, wait: bool) -> bool:
        present = self._models.get(deployed.model)
        if present is not None and present.deployed == deployed:
            self._refused.pop(deployed.model, None)
            return False
        if self._failed.get(deployed.model) == deployed:
            return False
        try:
            model = self.admission.admit(deployed, wait=wait)
        except ModelError as error:
            self._refuse(deployed, str(error), present)
            return False
        if model is None:
            return False
        self._refused.pop(deployed.model, None)
        self._models[deployed.model] = model
        self._say("model deployed", f"{model.name}, bundle {deployed.bundle_hash[:16]}")
        return True

    def _refuse(self, deployed: DeployedModel, why: str, present: ModelInUse | None) -> None:
        keeps = f"keeping {present.name}" if present else "nothing trades in its place"
        reason = f"{deployed.model} v{deployed.version}: {why} ({keeps})"
        if self._refused.get(deployed.model) != reason:
            self._refused[deployed.model] = reason
            self._say("model refused", reason, warning=True)

    def _say(self, event: str, detail: str, *, warning: bool = False) -> None:
        (_LOG.warning if warning else _LOG.info)(event, detail=detail)
        self._tell(event, detail)


def manifest_stamp(live_dir: Path) -> tuple[int, int] | None:
    """Changes whenever the manifest is swapped; None where there is none."""
    try:
        stat = (live_dir / MANIFEST).stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino
