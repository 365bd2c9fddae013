"""The trials of one search: drawn in memory, and written down in the project's database as they begin and end.

Optuna's sampler and pruner work on a study in memory, and the database holds what was tried: a study there would commit
each parameter and each report for itself, which costs more than a trial of a rule. What is drawn next depends on the
seed, on how many trials there are, and on how they ended, and on nothing else: so a search that was stopped goes on as
if it had not been, with one worker to the last bit.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from trading_assets.registry.searches import CONFIGURATION, MARKETS, quiet

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

    from trading_assets.search.distributions import Distributions

KEY: Final = "key"
"""Of a study: what is searched and how, as a hash."""

SPLIT: Final = "split"
SEEN: Final = "seen"
"""Of a study: the day that its unseen windows begin on, and the hash of what it sees."""

WEEKS: Final = "weeks"
"""Of a trial: the worth of each week, by which others are compared with it."""

KILLED: Final = "killed"
"""Of a trial: its process ended before it did. It is tried again."""

STARTUP_TRIALS: Final = 12
"""Drawn at random before the sampler learns from what came out."""

_P: Final = 0.1
_STARTUP_WEEKS: Final = 5


@dataclass
class Trials:
    """A search's trials, in memory and in the database.

    Attributes
    ----------
    seed
        Of what is drawn.
    drawn
        What is drawn of each setting.
    memory
        Optuna's study, which draws and prunes.
    storage, study_id
        The database, and which study of it; None where nothing is written down.
    prune
        Whether trials end early.
    """

    seed: int
    drawn: Distributions
    memory: Study
    storage: BaseStorage | None
    study_id: int
    prune: bool
    _ids: dict[int, int] = field(default_factory=dict)

    @property
    def all(self) -> Sequence[FrozenTrial]:
        """Every trial of this search but those that were killed and are tried again."""
        from optuna.trial import TrialState

        return [one for one in self.memory.get_trials(deepcopy=False) if one.state is not TrialState.WAITING]

    @property
    def finished(self) -> int:
        """How many have ended, one way or another."""
        return sum(one.state.is_finished() for one in self.all)

    @property
    def best(self) -> FrozenTrial | None:
        """The first of the best ones."""
        from optuna.trial import TrialState

        done = [one for one in self.all if one.state is TrialState.COMPLETE]
        return max(done, key=lambda one: (one.value, -one.number), default=None)

    def ask(self) -> Trial:
        """What to try next."""
        from optuna.samplers import TPESampler

        # a sampler for each trial: what one draws depends on its number and not on who drew before it
        seed = (self.seed * 1_000_003 + len(self.all)) % 2**32
        with quiet():
            self.memory.sampler = TPESampler(seed=seed, multivariate=True, n_startup_trials=STARTUP_TRIALS)
            return self.memory.ask(self.drawn)

    def begin(self, trial: Trial, configuration: str) -> None:
        """Write down what a trial is about to try: from now on it counts."""
        trial.set_user_attr(CONFIGURATION, configuration)
        if self.storage is not None:
            self._ids[trial.number] = self.storage.create_new_trial(self.study_id, self._running(trial, configuration))

    def behind(self, trial: Trial, weeks: Sequence[float]) -> bool:
        """Whether a trial is so far behind the best one, week by week, that it need not go on."""
        reported = self._kept(trial).intermediate_values
        with quiet():
            for week, value in enumerate(weeks):
                if week not in reported:
                    trial.report(value, week)
            return self.prune and trial.should_prune()

    def end(self, trial: Trial, value: float | None, told: Mapping[str, Any], *, pruned: bool = False) -> None:
        """Write down how a trial ended: with a value, pruned, or without one, as failed."""
        from optuna.trial import TrialState

        state = TrialState.PRUNED if pruned else TrialState.FAIL if value is None else TrialState.COMPLETE
        for name, one in told.items():
            trial.set_user_attr(name, one)
        with quiet():
            self.memory.tell(trial, value if state is TrialState.COMPLETE else None, state)
        number = self._ids.get(trial.number)
        if self.storage is None or number is None:
            return
        kept = self._kept(trial)
        weeks = [kept.intermediate_values[week] for week in sorted(kept.intermediate_values)]
        for name, one in {**told, WEEKS: weeks}.items():
            self.storage.set_trial_user_attr(number, name, one)
        self.storage.set_trial_state_values(number, state, kept.values)

    def _kept(self, trial: Trial) -> FrozenTrial:
        return self.memory.get_trials(deepcopy=False)[trial.number]

    def _running(self, trial: Trial, configuration: str) -> FrozenTrial:
        from optuna.trial import FrozenTrial, TrialState

        return FrozenTrial(
            number=-1,
            state=TrialState.RUNNING,
            value=None,
            values=None,
            datetime_start=self._kept(trial).datetime_start,
            datetime_complete=None,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs={CONFIGURATION: configuration},
            system_attrs={},
            intermediate_values={},
            trial_id=-1,
        )


def open_trials(
    drawn: Distributions,
    *,
    seed: int,
    prune: bool,
    first: Mapping[str, Any],
    storage: BaseStorage | None,
    study_id: int,
) -> Trials:
    """The trials of a study, those of an earlier run among them.

    Those that an earlier process was killed in are marked as that, and are tried again with what they had drawn.

    Parameters
    ----------
    first
        What the first trial tries, as far as it is given.
    storage, study_id
        None where nothing is written down.
    """
    with quiet(), warnings.catch_warnings():
        import optuna
        from optuna.pruners import WilcoxonPruner
        from optuna.trial import TrialState

        pruner = WilcoxonPruner(p_threshold=_P, n_startup_steps=_STARTUP_WEEKS)
        memory = optuna.create_study(direction="maximize", pruner=pruner)
        found = Trials(seed, drawn, memory, storage, study_id, prune)
        former = [] if storage is None else storage.get_all_trials(study_id)
        again = []
        for trial in former:
            if trial.state.is_finished():
                if KILLED not in trial.user_attrs:
                    memory.add_trial(_remembered(trial))
            elif storage is not None:
                storage.set_trial_user_attr(trial._trial_id, KILLED, True)
                storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
                again.append(trial.params)
        if not former and first:
            again.append(dict(first))
        for params in again:
            memory.enqueue_trial(params)
    return found


def _remembered(trial: FrozenTrial) -> FrozenTrial:
    """A trial of the database with the weeks that others are compared by."""
    trial.intermediate_values = dict(enumerate(trial.user_attrs.get(WEEKS, [])))
    return trial


def find_study(storage: BaseStorage, key: str) -> list[tuple[int, date, str]]:
    """The studies of a search, the newest first: id, split, hash of what it sees."""
    known = [one for one in storage.get_all_studies() if one.user_attrs.get(KEY) == key]
    found = [(one._study_id, date.fromisoformat(one.user_attrs[SPLIT]), str(one.user_attrs[SEEN])) for one in known]
    return sorted(found, reverse=True)


def new_study(storage: BaseStorage, model: str, *, key: str, split: date, seen: str, markets: Sequence[str]) -> int:
    """Make a study; its number."""
    from optuna.study import StudyDirection

    name = f"{model} {key[:8]} {datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"
    number: int = storage.create_new_study([StudyDirection.MAXIMIZE], name)
    told = {KEY: key, SPLIT: split.isoformat(), SEEN: seen, MARKETS: sorted(markets), "model": model}
    for attribute, value in told.items():
        storage.set_study_user_attr(number, attribute, value)
    return number
