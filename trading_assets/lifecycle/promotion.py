"""The changes of a version's status: each goes through here, with its cause, the manifest and the store's tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from trading_assets.core.errors import ModelError, TradingError
from trading_assets.core.locks import locked
from trading_assets.lifecycle.comparison import Comparison, compare_with_champion
from trading_assets.lifecycle.one_of_a_market import check_alone
from trading_assets.models import Bundle, bundle, certificates
from trading_assets.registry import (
    Cause,
    DeployedModel,
    ModelVersion,
    Registry,
    deploy,
    read_manifest,
    shadow,
    undeploy,
    unshadow,
)
from trading_assets.registry.versions import check_change
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.strategies.decisions import check_rule_code


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a version that was to be promoted.

    Attributes
    ----------
    version
        As it is now.
    bundle
        Its bundle, verified.
    parity
        What its certificate says.
    trades
        The version of the model that trades now.
    comparison
        With the champion of before; None where there was none, or nobody asked.
    reason
        Why it came out so.
    """

    version: ModelVersion
    bundle: Bundle
    parity: str
    trades: int
    comparison: Comparison | None
    reason: str

    @property
    def is_deployed(self) -> bool:
        """Whether the version trades now."""
        return self.trades == self.version.version


def promote(
    settings: Settings, store: Store, model: str, version: int, cause: Cause, *, regardless: bool = False
) -> Outcome:
    """Make an approved version the one that trades, if it is better than the champion; else keep it as a challenger.

    Without a champion there is nothing to be better than. Doing it again finishes what a killed process left.

    Parameters
    ----------
    cause
        Who, and why; the comparison joins it as evidence.
    regardless
        Whether it takes the champion's place whatever the comparison says, which is recorded all the same.

    Raises
    ------
    ModelError
        If the version may not be promoted, its bundle is not intact or of other code, or has no certificate, or another
        model decides on bars that it would decide on.
    """
    with _changing(settings, store) as registry:
        known = registry.get(model, version)
        check_change(model, version, known.status, "active")
        verified, parity = _verified(settings, known)
        champion, comparison = registry.champion(model), None
        if champion is not None and champion.version != version:
            comparison = compare_with_champion(settings, store, champion, known)
            cause = replace(cause, evidence={**cause.evidence, **comparison.evidence})
        if comparison is None or regardless or comparison.is_better:
            reason = "no champion" if champion is None else comparison.text if comparison else "it is the champion"
            cause = replace(cause, reason=_joined(cause.reason, reason))
            _activate(settings, registry, verified, version, cause)
            return Outcome(registry.get(model, version), verified, parity, version, comparison, cause.reason)
        kept = "stays archived" if known.status == "archived" else "kept as a challenger"
        cause = replace(cause, reason=_joined(cause.reason, f"{kept}: {comparison.text}"))
        _challenge(settings, registry, verified, known, cause)
        _deploy_again(settings, registry, model, comparison.champion)
        return Outcome(registry.get(model, version), verified, parity, comparison.champion, comparison, cause.reason)


def roll_back(settings: Settings, store: Store, model: str, version: int | None, cause: Cause) -> Outcome:
    """Let a version trade again that was active once: without a comparison, since it is asked for in need.

    Parameters
    ----------
    version
        Which; None for the one that was active before the present one.

    Raises
    ------
    ModelError
        If there is none, it was never active, or as for :func:`promote`.
    """
    with _changing(settings, store) as registry:
        known = registry.before(model) if version is None else registry.get(model, version)
        if not known.was_active:
            raise ModelError(
                f"it never traded, it is {known.status}",
                where=f"model {model} version {known.version}",
                remedy="its gates come first: trading approve"
                if known.status == "draft"
                else f"trading models promote {model} {known.version} makes a version trade for the first time",
            )
        check_change(model, known.version, known.status, "active")
        verified, parity = _verified(settings, known)
        cause = replace(cause, reason=_joined("rollback", cause.reason))
        _activate(settings, registry, verified, known.version, cause)
        return Outcome(registry.get(model, known.version), verified, parity, known.version, None, cause.reason)


def archive(settings: Settings, store: Store, model: str, version: int, cause: Cause) -> ModelVersion:
    """Put a version away: one that trades or decides in shadow leaves the node's manifest; open trades are managed on.

    Raises
    ------
    ModelError
        If its status does not allow it.
    """
    with _changing(settings, store) as registry:
        was = registry.get(model, version).status
        after = registry.set_status(model, version, "archived", cause)
        if was == "active":
            undeploy(settings.live_dir, model)
        unshadow(settings.live_dir, model, version)
        return after


def reject(settings: Settings, store: Store, model: str, version: int, cause: Cause) -> ModelVersion:
    """Rule a version out for good; a challenger leaves the node's manifest.

    Raises
    ------
    ModelError
        If it is the active one, or rejected already.
    """
    with _changing(settings, store) as registry:
        after = registry.reject(model, version, cause)
        unshadow(settings.live_dir, model, version)
        return after


@contextmanager
def _changing(settings: Settings, store: Store) -> Iterator[Registry]:
    """One change at a time, so that no two candidates are compared with the same champion; the store hears of it."""
    registry = Registry(settings)
    with locked(settings.data_dir / "lifecycle.lock"):
        try:
            yield registry
        except BaseException:
            with suppress(TradingError):  # what was changed before it went wrong, was changed
                registry.write_to(store)
            raise
        registry.write_to(store)


def _verified(settings: Settings, known: ModelVersion) -> tuple[Bundle, str]:
    """The bundle, if it is the registered one, of this code, and decides in the node as in research."""
    from trading_assets.features import fingerprint

    held = bundle.load(
        known.bundle_path,
        expected_hash=known.bundle_hash,
        feature_fingerprint=partial(fingerprint, plugins=settings.plugged),
        plugins=settings.plugged,
    )
    check_rule_code(held)
    return held, str(certificates.check(held))


def _activate(settings: Settings, registry: Registry, held: Bundle, version: int, cause: Cause) -> None:
    check_alone(settings, held)
    registry.promote(held.model, version, cause)
    deploy(settings.live_dir, DeployedModel.of(held, version, settings.data_dir, datetime.now(UTC)))


def _deploy_again(settings: Settings, registry: Registry, model: str, champion: int) -> None:
    """The champion trades on, also where somebody removed the manifest."""
    present = read_manifest(settings.live_dir).models.get(model)
    if present is None or present.version != champion:
        held, _ = _verified(settings, registry.get(model, champion))
        deploy(settings.live_dir, DeployedModel.of(held, champion, settings.data_dir, datetime.now(UTC)))


def _challenge(settings: Settings, registry: Registry, held: Bundle, known: ModelVersion, cause: Cause) -> None:
    """Let a version decide in shadow, and put away the oldest challengers beyond the most that there may be."""
    model, most = held.model, settings.promotion.max_challengers
    if known.status == "archived":
        return  # it traded once, and is no better than what trades now
    registry.set_status(model, known.version, "challenger", cause)
    shadow(settings.live_dir, DeployedModel.of(held, known.version, settings.data_dir, datetime.now(UTC)))
    challengers = [one for one in registry.list(model) if one.status == "challenger"]
    for one in sorted(challengers, key=lambda one: one.changed_at)[: max(0, len(challengers) - most)]:
        crowded = f"the oldest of {len(challengers)} challengers, promotion.max_challengers is {most}"
        registry.set_status(model, one.version, "archived", Cause(cause.by, crowded))
        unshadow(settings.live_dir, model, one.version)


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
