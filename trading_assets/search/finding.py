"""A search from beginning to end: what is tried, in which part of the history, and what is found."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl

from trading_assets.core.cores import cores
from trading_assets.core.errors import ModelError, TradingError
from trading_assets.core.locks import held_alone
from trading_assets.models import Dataset
from trading_assets.registry.searches import open_searches, tried_in
from trading_assets.registry.trials import Tried
from trading_assets.search.distributions import distributions, of_the_model
from trading_assets.search.material import Build, Cut, Material, cut, older
from trading_assets.search.running import Budget, Evaluation, Progress, Step, run
from trading_assets.search.study import Trials, find_study, new_study, open_trials
from trading_assets.settings import Settings, StrategySettings
from trading_assets.settings.names import check_known
from trading_assets.settings.sections.space import Space, applied, present, rounded, space_of
from trading_assets.store.tables import SEARCH_TRIALS

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes
    ----------
    model
        Whose.
    before, after
        The model as it is, and as it was found: tested from the split on.
    changes
        Setting -> value, of those that were found otherwise than they are.
    space
        What was tried.
    cut
        Where the history was cut.
    best
        The trial.
    trials
        All of this search.
    data
        The model's whole history as it is.
    """

    model: str
    before: StrategySettings
    after: StrategySettings
    changes: Mapping[str, Any]
    space: Space
    cut: Cut
    best: FrozenTrial
    trials: Sequence[FrozenTrial]
    data: Dataset

    @property
    def tried(self) -> Tried:
        """Its trials, as the registry counts them."""
        return tried_in(self.trials)

    @property
    def rows(self) -> pl.DataFrame:
        """The trials as rows of the ``search_trials`` table."""
        rows = [
            {
                "model": self.model,
                "trial": one.number + 1,
                "state": one.state.name.lower(),
                "value": one.value if one.values else None,
                **{name: one.user_attrs.get(name) for name in ("sharpe", "trades", "seconds", "reason")},
                "tried": json.dumps({name: rounded(value) for name, value in one.params.items()}),
                "tested_from": self.cut.tested,
                "unseen_from": self.cut.split,
            }
            for one in self.trials
        ]
        return pl.DataFrame(rows, schema=SEARCH_TRIALS.columns)

    @property
    def name(self) -> str:
        """Identifies what was found: its report and its fragment are called so."""
        told = json.dumps([self.model, len(self.trials), *map(str, self.changes.items()), str(self.cut.split)])
        return f"search-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


def look(
    settings: Settings,
    model: str,
    build: Build,
    *,
    storage: BaseStorage | None,
    anew: bool = False,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """Search, with what trials learn from made by ``build`` and written down in ``storage``.

    Parameters
    ----------
    settings
        Budget, space and seed stand in the section ``search``.
    build
        Makes the whole data set of a variant of the model; no trial gets the newer part of it.
    storage
        None where nothing is to be written down.
    anew
        Begin a search instead of going on with an earlier one of the same settings and data.
    clock
        In seconds.

    Raises
    ------
    ModelError
        If the history is too short to be cut, nothing is to be searched, or no trial could be evaluated.
    """
    check_known(model, settings.models, "model")
    spec, asked = settings.models[model], settings.search
    space = space_of(spec, asked.of(model))
    if not space:
        raise ModelError(
            "nothing is to be searched", where=f"search.space.{model}", remedy="name a setting and what is tried of it"
        )
    data, drawn = build(spec), distributions(spec, space)
    at, study = cut(data, spec, space, asked.unseen_share), 0
    if storage is not None:
        study, at = _study(storage, settings, model, data, space, at, anew=anew)
    trials = open_trials(
        drawn,
        seed=asked.seed,
        prune=asked.prune,
        first=of_the_model(spec, space, drawn),
        storage=storage,
        study_id=study,
    )
    labels = {name: settings.labels[name] for name in {spec.label, *asked.labels_of(model)}}
    evaluation = Evaluation(
        spec=spec,
        material=Material(build, labels, at.known_by),
        cut=at,
        labels=labels,
        cost_bps=settings.trading.costs.of_markets(spec.markets).round_trip_bps,
        needed=settings.gates_of(model).min_trades * at.searched_days / at.unseen_days,
    )
    budget = Budget(asked.trials, asked.minutes, asked.workers or cores())
    run(trials, evaluation, budget, progress or _silent, clock=clock)
    return _found(trials, evaluation, model, space, data)


def search(
    settings: Settings,
    model: str,
    build: Build,
    *,
    anew: bool = False,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """Search, one process at a time for a model, with trials in the project's database; see :func:`look`."""
    # Another search would take its open trials for those of a killed process.
    busy = TradingError(
        "another process is searching for it", where=f"model {model}", remedy="wait until it is done, or stop it"
    )
    with held_alone(settings.data_dir / f"search-{model}.lock", busy):
        return look(settings, model, build, storage=open_searches(settings), anew=anew, progress=progress, clock=clock)


def _study(
    storage: BaseStorage, settings: Settings, model: str, data: Dataset, space: Space, at: Cut, *, anew: bool
) -> tuple[int, Cut]:
    """The study of an earlier search of the same settings and data, with its split; else a new one."""
    spec = settings.models[model]
    key, horizon = _key(settings, model, space, data), settings.labels[spec.label].horizon

    def seen(one: Cut) -> str:
        return older(data, one.known_by, horizon).content_hash

    for number, split, hashed in [] if anew else find_study(storage, key):
        try:
            former = cut(data, spec, space, settings.search.unseen_share, at=split)
        except ModelError:
            continue
        if seen(former) == hashed:
            return number, former
    return new_study(storage, model, key=key, split=at.split.date(), seen=seen(at), markets=spec.markets), at


def _key(settings: Settings, model: str, space: Space, data: Dataset) -> str:
    """Identify what is searched and how."""
    spec, asked = settings.models[model], settings.search
    labels = {name: settings.labels[name].model_dump(mode="json") for name in {spec.label, *asked.labels_of(model)}}
    told = {
        "spec": spec.model_dump(mode="json", exclude={"gates"}),
        "needed": settings.gates_of(model).min_trades,
        "space": {name: repr(one) for name, one in space.items()},
        "labels": labels,
        "costs": settings.trading.costs.model_dump(mode="json"),
        "search": [asked.seed, asked.unseen_share, asked.prune],
        "code": data.fingerprint,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _found(trials: Trials, evaluation: Evaluation, model: str, space: Space, data: Dataset) -> Found:
    spec, best = evaluation.spec, trials.best
    if best is None:
        raise ModelError(
            "no trial was evaluated to its end",
            where=f"search of {model}",
            remedy="give it more trials or minutes; what was tried is kept",
        )
    before = present(spec, space)
    changes = {name: rounded(value) for name, value in best.params.items() if value != before[name]}
    after = judged_from(applied(spec, changes), evaluation.cut.split.date())
    return Found(model, spec, after, changes, space, evaluation.cut, best, trials.all, data)


def judged_from(spec: StrategySettings, day: date) -> StrategySettings:
    """A model whose test windows begin on a day."""
    windows = spec.walk_forward.model_copy(update={"tested_from": day})
    return spec.model_copy(update={"walk_forward": windows})


def _silent(_: Step) -> None:
    pass
