"""What a deployed bundle must pass before this node asks it: hashes, code, inputs, bars, and a trial of its model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, partial

from trading_assets import features
from trading_assets.core.candles import Market
from trading_assets.core.errors import BundleError, ModelError
from trading_assets.models import Bundle, certificates, load
from trading_assets.models.trial import Trial
from trading_assets.registry.deployment import DeployedModel
from trading_assets.settings import Settings
from trading_assets.strategies.decisions import bars_needed, check_rule_code
from trading_assets.strategies.signals import Stream
from trading_live.node.auxiliary.needs import LIVE
from trading_live.venues.registry import venue_of


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
    def reads(self) -> tuple[str, ...]:
        """What its features read beside bars of their market."""
        return features.required_companions(self.bundle.features, self.bundle.plugins)

    @cached_property
    def follows(self) -> bool:
        """Whether it reads features of a leading market."""
        return "leader" in self.reads

    @cached_property
    def beside(self) -> dict[str, int]:
        """What it reads beside bars of its own and of a leading market, and how many bars back."""
        bundle = self.bundle
        known, timeframe = bundle.features, bundle.labels.timeframe
        found: dict[str, int] = {}
        for series in self.reads:
            if series != "leader":
                names = [one for one in known if series in features.required_companions([one], bundle.plugins)]
                reach = features.lookback_bars(timeframe, names, bundle.plugins)
                found[series] = reach + bundle.lookback_rows - 1
        return found

    @cached_property
    def look_back(self) -> int:
        """How many bars a decision is made from."""
        return bars_needed(self.bundle)


class Admission:
    """Lets bundles in that verify, that this code can compute, and whose model has answered in another process.

    Parameters
    ----------
    settings
        Data folder, plug-ins and venue.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._listened: frozenset[Stream] | None = None
        self._held: frozenset[tuple[str, str]] | None = None
        self._trials: dict[str, Trial] = {}
        self._crashed: dict[str, BundleError] = {}
        self._passed: set[str] = set()

    @property
    def leader(self) -> str | None:
        """The leading market of the settings, where the node's venue has it."""
        leader = self._settings.features.leader
        return leader if leader is not None and venue_of(self._settings).carries(leader) else None

    @property
    def trying(self) -> bool:
        """Whether a model is being tried in another process."""
        return bool(self._trials)

    def listen_to(self, streams: Iterable[Stream]) -> None:
        """Refuse models of other bars from now on."""
        self._listened = frozenset(streams)

    def hold(self, series: Iterable[tuple[str, str]]) -> None:
        """Refuse models that read other auxiliary series (name and market) from now on."""
        self._held = frozenset(series)

    def admit(self, deployed: DeployedModel, *, wait: bool) -> ModelInUse | None:
        """The version with its bundle, ready to be asked; None while its model is being tried.

        Parameters
        ----------
        deployed
            As the manifest names it.
        wait
            Whether to wait for the trial.

        Raises
        ------
        ModelError
            Why it is not let in.
        """
        model = self.read(deployed)
        bundle = model.bundle
        self._check_companions(model)
        self._check_streams(model)
        if not self._is_tried(bundle, wait=wait):
            return None
        bundle.warm()
        return model

    def read(self, deployed: DeployedModel) -> ModelInUse:
        """The version with its verified bundle; nothing of its model is loaded.

        Raises
        ------
        ModelError
            If it does not verify, or was made with other code.
        """
        bundle = load(
            deployed.folder(self._settings.data_dir),
            expected_hash=deployed.bundle_hash,
            feature_fingerprint=partial(features.fingerprint, plugins=self._settings.plugged),
            plugins=self._settings.plugged,
        )
        check_rule_code(bundle)
        return ModelInUse(deployed, bundle)

    def _is_tried(self, bundle: Bundle, *, wait: bool) -> bool:
        """Whether the model has answered in a process of its own; False while that is under way."""
        name = bundle.bundle_hash
        if name in self._passed:
            return True
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
        self._passed.add(name)
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

    def _check_companions(self, model: ModelInUse) -> None:
        """Refuse a model that reads what the node cannot hold, or another leader than the one it was made with."""
        bundle, leader = model.bundle, self.leader
        needed = features.required_companions(bundle.features, bundle.plugins)
        where = f"model {bundle.model}"
        lacking = {name: why for name in needed if (why := self._lacks(name, model)) is not None}
        if lacking:
            raise ModelError(
                f"it reads features of {', '.join(lacking)}, which the node does not hold",
                where=where,
                remedy="; ".join(dict.fromkeys(lacking.values())),
            )
        if not needed:
            return
        known = certificates.check(bundle)
        if "leader" in needed and known.leader != leader:
            raise ModelError(
                f"it was made with the leader {known.leader}, and features.leader is {leader}",
                where=where,
                remedy="set features.leader as it was, or materialize features and retrain",
            )

    def _lacks(self, name: str, model: ModelInUse) -> str | None:
        """What to do about an auxiliary series that is not to be had here; None where it is."""
        if name == "leader":
            return None if self.leader is not None else "name a market of the venue as features.leader"
        if name not in LIVE:
            return f"train it without {name} among its `companions`: no node listens to a second venue"
        if name == "sentiment" and not self._settings.sentiment:
            return "name the provider of its scores under `sentiment`, as it was when the model learnt"
        if name == "funding" and (
            spot := [one for one in model.deployed.markets if not Market.parse(one).is_perpetual]
        ):
            return f"train it without funding among its `companions`: {', '.join(spot)} pays none"
        if self._held is not None and any((name, one.market) not in self._held for one in model.streams):
            return "start the node again: it listens to what is deployed then"
        return None
