"""The data set of a model of the settings, from the store: features and outcomes, or what its rule wants."""

from __future__ import annotations

from collections.abc import Callable

from trading_assets import quality
from trading_assets.core.errors import ModelError
from trading_assets.models import dataset
from trading_assets.models.dataset import Dataset
from trading_assets.settings import ModelSettings, RuleStrategySettings, Settings, StrategySettings
from trading_assets.store import Store
from trading_assets.strategies.rules import rows


def stored_dataset(store: Store, spec: StrategySettings, settings: Settings, *, name: str) -> Dataset:
    """What a model learns from, or what its rule wants.

    Parameters
    ----------
    spec
        Of the settings, or with another label set, features or learner than there.
    name
        The model's, for messages.

    Raises
    ------
    ModelError
        If a market has no labelled rows or nothing of a companion, features are not finite, or all rows look across a
        step.
    """
    if isinstance(spec, RuleStrategySettings):
        return _rule_rows(store, spec, settings).of(spec)
    assert isinstance(spec, ModelSettings)
    return _of_model(store, spec, settings, name)


def stored_datasets(store: Store, settings: Settings, *, name: str) -> Callable[[StrategySettings], Dataset]:
    """The same for many variants of one model, of which what is stored is read once for each label set."""
    known: dict[str, rows.StoredRows] = {}

    def of(spec: StrategySettings) -> Dataset:
        if not isinstance(spec, RuleStrategySettings):
            return stored_dataset(store, spec, settings, name=name)
        if spec.label not in known:
            known[spec.label] = _rule_rows(store, spec, settings)
        return known[spec.label].of(spec)

    return of


def _rule_rows(store: Store, spec: RuleStrategySettings, settings: Settings) -> rows.StoredRows:
    return rows.read(
        store,
        spec,
        settings.labels[spec.label],
        since=settings.history_start,
        until=settings.history_end,
        events=settings.event_times,
        min_step=settings.quality.level_step.min_factor,
    )


def _of_model(store: Store, spec: ModelSettings, settings: Settings, name: str) -> Dataset:
    from trading_assets.features import nullable_features
    from trading_assets.labels import lookback_bars
    from trading_assets.models.estimators import estimator_of

    labels = settings.labels[spec.label]
    data = dataset.build(
        store,
        spec.markets,
        label_set=spec.label,
        timeframe=labels.timeframe,
        sides=spec.sides,
        chosen=spec.features,
        since=settings.history_start,
        until=settings.history_end,
        companions=spec.companions,
        leader=settings.features.leader,
        priced=spec.sample_weights == "attribution",
        drop_ambiguous=labels.ambiguous == "drop",
        events=settings.event_times,
        min_step=settings.quality.level_step.min_factor,
        lookback_rows=estimator_of(spec.estimator).lookback_rows(spec.estimator),
        decision_bars=lookback_bars(labels),
        plugins=settings.plugged,
        plan_cost=labels.plan_cost,
    )
    bad = quality.not_finite(data.frame, nullable=nullable_features(settings.plugged))
    if bad:
        raise ModelError(
            f"features are not finite: {', '.join(bad)}",
            where=f"data set of model {name}",
            remedy="see the check finite_after_warmup on the asset features and materialize features again",
        )
    return data
