"""Trial after trial, side by side, until the budget is used up."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl
from pydantic import ValidationError

from trading_assets.core.errors import ModelError, TradingError
from trading_assets.models.folds import fold_by_fold
from trading_assets.registry import configuration
from trading_assets.registry.searches import CONFIGURATION, SHARPE
from trading_assets.search.material import Cut, Material
from trading_assets.search.objective import Period, Worth, worth
from trading_assets.search.study import Trials
from trading_assets.settings import LabelSettings, StrategySettings
from trading_assets.settings.sections.space import applied, rounded
from trading_assets.strategies.entry_rule import EntryRule

if TYPE_CHECKING:
    from optuna import Trial

_LOG: Final = logging.getLogger(__name__)
_LISTEN_S: Final = 0.5
_HOPELESS: Final = 5
"""So many failures before anything else say that the settings are wrong, not what was drawn."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far a search is.

    Attributes
    ----------
    done, total
        Trials that have ended, and that are wanted.
    best
        The best value so far.
    said
        How the newest trial ended.
    """

    done: int
    total: int
    best: float | None
    said: str


Progress = Callable[[Step], None]
"""Called after each trial."""


@dataclass(frozen=True, slots=True)
class Budget:
    """When to stop: after so many trials, those of earlier runs among them; no trial begins after so many minutes."""

    trials: int
    minutes: float | None = None
    workers: int = 1


@dataclass(frozen=True)
class Evaluation:
    """How one trial is evaluated.

    Attributes
    ----------
    spec
        The model as it is.
    material
        What trials learn from.
    cut
        Where the history is cut.
    labels
        By name.
    cost_bps
        Of a round trip.
    needed
        Trades that count in full.
    """

    spec: StrategySettings
    material: Material
    cut: Cut
    labels: dict[str, LabelSettings]
    cost_bps: float
    needed: float

    def tried(self, values: dict[str, Any]) -> StrategySettings:
        """The model with a trial's values, tested on the searched part alone."""
        windows = self.spec.walk_forward.model_copy(update={"tested_from": self.cut.tested.date()})
        return applied(
            self.spec.model_copy(update={"walk_forward": windows, "holdout_days": 0.0}),
            {name: rounded(value) for name, value in values.items()},
        )

    def identity(self, spec: StrategySettings) -> str:
        """What a trial tries, as a hash: the rule of entry too, which a walk-forward's configuration leaves out."""
        tried = configuration(spec, self.labels[spec.label], features=(), fingerprint="")
        entry = [tried, spec.threshold, spec.min_edge_bps, self.cost_bps]
        return hashlib.sha256(json.dumps(entry).encode()).hexdigest()

    def steps(self, spec: StrategySettings) -> Iterator[tuple[Worth, bool]]:
        """The worth after each fold, on the days up to its end; and whether another one follows."""
        rule, labels = EntryRule.of(spec, cost_bps=self.cost_bps), self.labels[spec.label]
        data, parts = self.material.of(spec), []
        newest = data.frame["known_at"][-1]
        for fold, predictions in fold_by_fold(data, spec):
            parts.append(predictions)
            share = (fold.test_end - self.cut.tested) / (self.cut.split - self.cut.tested)
            period = Period(self.cut.tested, fold.test_end, self.needed * share)
            yield worth(pl.concat(parts), rule, labels, period), fold.test_end <= newest


def run(
    trials: Trials, evaluation: Evaluation, budget: Budget, progress: Progress, *, clock: Callable[[], float]
) -> None:
    """Try until the budget is used up.

    Raises
    ------
    TradingError
        Of the first trials, where none of them could be evaluated.
    """
    begun, stop, lock, ended = clock(), threading.Event(), threading.Lock(), trials.finished
    pending: dict[Future[str], Trial] = {}

    def may_begin() -> bool:
        late = budget.minutes is not None and clock() - begun >= budget.minutes * 60
        return trials.finished + len(pending) < budget.trials and not late

    with ThreadPoolExecutor(budget.workers, thread_name_prefix="search") as pool:
        try:
            while True:
                while len(pending) < budget.workers and may_begin():
                    with lock:
                        trial = trials.ask()
                    pending[pool.submit(_try, trial, trials, evaluation, lock, stop)] = trial
                if not pending:
                    return
                done, _ = wait(pending, _LISTEN_S, FIRST_COMPLETED)
                for future in done:
                    del pending[future]
                    said, best, ended = future.result(), trials.best, ended + 1
                    progress(Step(ended, budget.trials, best.value if best else None, said))
                    _give_up(trials, said)
        except BaseException:
            stop.set()
            raise


def _try(trial: Trial, trials: Trials, evaluation: Evaluation, lock: threading.Lock, stop: threading.Event) -> str:
    """Evaluate a trial; how it ended, in words."""
    try:
        spec = evaluation.tried(trial.params)
    except ValidationError as error:  # nothing was looked at: it counts as no trial on these markets
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        with lock:
            trials.end(trial, None, {"reason": reason})
        return f"does not go together: {reason}"
    with lock:
        identity = evaluation.identity(spec)
        known = _known(trials, identity)
        trials.begin(trial, identity)
        if known is not None:
            trials.end(trial, known.value, dict(known.user_attrs), pruned=known.state.name == "PRUNED")
            return "tried before"
    try:
        return _evaluate(trial, trials, evaluation, spec, lock, stop)
    except _Stopped:
        return "stopped"
    except (TradingError, ValueError, ArithmeticError, RuntimeError) as error:  # also what a library says of parameters
        reason = error.what if isinstance(error, TradingError) else " ".join(str(error).split())
        _LOG.warning("trial %d failed: %s", trial.number, reason)
        with lock:
            trials.end(trial, None, {"reason": f"{error}" if isinstance(error, TradingError) else reason})
        return f"failed: {reason}"


class _Stopped(Exception):
    """The search was stopped: the trial is left as one whose process ended."""


def _evaluate(
    trial: Trial,
    trials: Trials,
    evaluation: Evaluation,
    spec: StrategySettings,
    lock: threading.Lock,
    stop: threading.Event,
) -> str:
    begun, last = time.monotonic(), None
    for last, goes_on in evaluation.steps(spec):
        if stop.is_set():
            raise _Stopped
        with lock:
            if trials.behind(trial, last.blocks.tolist()) and goes_on:
                told = _told(last, time.monotonic() - begun)
                del told[SHARPE]  # of a part of the days: no Sharpe ratio to compare with those of all
                trials.end(trial, None, told, pruned=True)
                return "pruned"
    if last is None:
        raise ModelError("no fold could be tested", where=f"search of {', '.join(spec.markets)}")
    with lock:
        trials.end(trial, last.value, _told(last, time.monotonic() - begun))
    return f"{last.value:+.2f}, {last.trades} trades"


def _told(found: Worth, seconds: float) -> dict[str, Any]:
    return {SHARPE: found.sharpe, "trades": found.trades, "seconds": round(seconds, 3)}


def _known(trials: Trials, identity: str) -> Any:
    """An earlier trial of the same configuration, whose outcome need not be computed again."""
    for one in trials.all:
        ended = one.state.name in ("COMPLETE", "PRUNED")
        if ended and one.user_attrs.get(CONFIGURATION) == identity:
            return one
    return None


def _give_up(trials: Trials, said: str) -> None:
    done = [one for one in trials.all if one.state.is_finished()]
    if len(done) >= _HOPELESS and all(one.state.name == "FAIL" for one in done):
        raise ModelError(
            f"none of the first {len(done)} trials could be evaluated; the last one {said}",
            where="search",
            remedy="see that `trading train` of the model works, and what its space in the settings allows",
        )
