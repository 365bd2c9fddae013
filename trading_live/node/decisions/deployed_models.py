"""The deployed models in use: read from the manifest, verified, swapped without a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final

import structlog

from trading_assets import features
from trading_assets.core.errors import BundleError, ModelError
from trading_assets.models import Bundle, certificates, load
from trading_assets.models.trial import Trial
from trading_assets.registry.deployment import MANIFEST, DeployedModel, Manifest, read_manifest
from trading_assets.settings import Settings
from trading_assets.strategies.decisions import check_rule_code
from trading_assets.strategies.signals import Stream
from trading_live.venues.registry import venue_of

_LOG: Final = structlog.get_logger(__name__)

Tell = Callable[[str, str], None]
"""(event, detail): into the node's journal."""


@dataclass(frozen=True)
class ModelInUse:
    """A deployed version and its verified bundle."""

    deployed: DeployedModel
    bundle: Bundle

    @property
    def name(self) -> str:
        """Model and version, as a person says it."""
        return f"{self.deployed.model} v{self.deployed.version}"

    @cached_property
    def streams(self) -> tuple[Stream, ...]:
        """The bars that it decides on."""
        timeframe = self.bundle.labels.timeframe.name
        return tuple(Stream(market, timeframe) for market in self.deployed.markets)

    @cached_property
    def follows(self) -> bool:
        """Whether it reads features of a leading market."""
        return "leader" in features.required_companions(self.bundle.features, self.bundle.plugins)


class DeployedModels:
    """Follows the deployment manifest.

    A bundle that does not verify is refused: the version in use stays, and the refusal is told once. So is one whose
    model ends or holds up the process that tries it first, and one of markets that the node does not listen to.

    Parameters
    ----------
    settings
        Data folder and live folder.
    tell
        Told of every deployment, refusal and withdrawal.
    """

    def __init__(self, settings: Settings, tell: Tell) -> None:
        self._settings = settings
        self._tell = tell
        self._models: dict[str, ModelInUse] = {}
        self._streams: dict[Stream, ModelInUse] = {}
        self._refused: dict[str, str] = {}
        self._failed: dict[str, DeployedModel] = {}
        self._listened: frozenset[Stream] | None = None
        self._trials: dict[str, Trial] = {}
        self._crashed: dict[str, BundleError] = {}
        self._seen: tuple[int, int] | None = None
        self._broken = ""
        self._aside: dict[str, str] = {}

    @property
    def models(self) -> tuple[ModelInUse, ...]:
        """The models in use, by name."""
        return tuple(self._models[name] for name in sorted(self._models))

    @property
    def leader(self) -> str | None:
        """The leading market of the settings, where the node's venue has it."""
        leader = self._settings.features.leader
        return leader if leader is not None and venue_of(self._settings).carries(leader) else None

    def leader_of(self, stream: Stream) -> str | None:
        """The market whose bars of the same timeframe a decision reads beside its own."""
        model, leader = self.of(stream), self.leader
        return leader if model is not None and model.follows and leader != stream.market else None

    @property
    def refusals(self) -> dict[str, str]:
        """Model -> why its deployed version is not in use; a manifest that cannot be read stands under its name."""
        return dict(self._refused) | ({MANIFEST: self._broken} if self._broken else {})

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
        """The model that decides on a market's bars of a timeframe: the one deployed last, where there are several."""
        return self._streams.get(stream)

    def trades(self, market: str) -> bool:
        """Whether a model decides on some bars of a market."""
        return any(stream.market == market for stream in self._streams)

    def listen_to(self, streams: Iterable[Stream]) -> None:
        """Refuse models of other bars from now on."""
        self._listened = frozenset(streams)

    def refresh(self, *, wait: bool = True) -> bool:
        """Look at the manifest; whether a model changed.

        Parameters
        ----------
        wait
            Whether to wait for the trials of new bundles; else they are taken at a later call.
        """
        stamp = self._stamp()
        if stamp == self._seen and not self._refused and not self._trials:
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
        ordered = sorted(self._models.values(), key=lambda one: one.deployed.deployed_at)
        self._streams = {stream: one for one in ordered for stream in one.streams}
        aside = {one.name: self._instead_of(one) for one in ordered}
        for name, instead in aside.items():
            if instead and self._aside.get(name) != instead:
                self._say("model set aside", f"{name}: {instead}, deployed later", warning=True)
        self._aside = aside

    def _instead_of(self, model: ModelInUse) -> str:
        """Which models decide on some of its bars in its place."""
        lost = [(stream, asked) for stream in model.streams if (asked := self._streams[stream]) is not model]
        bars = (f"{asked.name} decides on {stream.market} {stream.timeframe}" for stream, asked in lost)
        return " and ".join(bars)

    def _stamp(self) -> tuple[int, int] | None:
        try:
            stat = (self._settings.live_dir / MANIFEST).stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino

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
            bundle = load(
                deployed.folder(self._settings.data_dir),
                expected_hash=deployed.bundle_hash,
                feature_fingerprint=partial(features.fingerprint, plugins=self._settings.plugged),
                plugins=self._settings.plugged,
            )
            check_rule_code(bundle)
            self._check_companions(bundle)
            self._check_streams(ModelInUse(deployed, bundle))
            if not self._is_tried(bundle, wait=wait):
                return False
            bundle.warm()
        except ModelError as error:
            self._refuse(deployed, str(error), present)
            return False
        self._refused.pop(deployed.model, None)
        self._models[deployed.model] = ModelInUse(deployed, bundle)
        self._say("model deployed", f"{self._models[deployed.model].name}, bundle {deployed.bundle_hash[:16]}")
        return True

    def _is_tried(self, bundle: Bundle, *, wait: bool) -> bool:
        """Whether the model has answered in a process of its own; False while that is under way."""
        name = bundle.bundle_hash
        if name in self._crashed:
            raise self._crashed[name]
        trial = self._trials.pop(name, None) or Trial(bundle)
        try:
            if wait:
                trial.wait()
            elif not trial.finished():
                self._trials[name] = trial
                return False
        except BundleError as error:
            self._crashed[name] = error
            raise
        return True

    def _check_streams(self, model: ModelInUse) -> None:
        """Refuse a model of bars that do not come: from the venue, or to this node. It would look in use."""
        venue = venue_of(self._settings)
        if refusals := [why for one in model.streams if (why := venue.refusal(one.market, one.timeframe)) is not None]:
            raise ModelError(
                "; ".join(refusals),
                where=f"model {model.deployed.model}",
                remedy="let it learn a label set of such a timeframe, or trade it on another venue",
            )
        missing = sorted(set(model.streams) - self._listened) if self._listened is not None else []
        if missing:
            heard = {stream.market for stream in self._listened or ()}
            names = [one.market if one.market not in heard else f"{one.market} on {one.timeframe}" for one in missing]
            raise ModelError(
                f"it trades {', '.join(names)}, which this node does not listen to",
                where=f"model {model.deployed.model}",
                remedy="start the node again: it listens to what is deployed then",
            )

    def _check_companions(self, bundle: Bundle) -> None:
        """Refuse a model that reads what the node does not hold, or another leader than the one it was made with."""
        needed = features.required_companions(bundle.features, bundle.plugins)
        leader = self.leader
        if further := [name for name in needed if name != "leader" or leader is None]:
            raise ModelError(
                f"it reads features of {', '.join(further)}, which the node does not hold",
                where=f"model {bundle.model}",
                remedy="train it without these `companions`; for leader, name a market of the venue as features.leader",
            )
        if needed and (known := certificates.check(bundle).leader) != leader:
            raise ModelError(
                f"it was made with the leader {known}, and features.leader is {leader}",
                where=f"model {bundle.model}",
                remedy="set features.leader as it was, or materialize features and retrain",
            )

    def _refuse(self, deployed: DeployedModel, why: str, present: ModelInUse | None) -> None:
        keeps = f"keeping {present.name}" if present else "nothing trades in its place"
        reason = f"{deployed.model} v{deployed.version}: {why} ({keeps})"
        if self._refused.get(deployed.model) != reason:
            self._refused[deployed.model] = reason
            self._say("model refused", reason, warning=True)

    def _say(self, event: str, detail: str, *, warning: bool = False) -> None:
        (_LOG.warning if warning else _LOG.info)(event, detail=detail)
        self._tell(event, detail)
