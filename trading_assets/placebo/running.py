"""Many worlds side by side, one process each; what was judged before is not judged again."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from functools import cached_property
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from trading_assets.core.errors import TradingError
from trading_assets.core.locks import held_alone
from trading_assets.core.plugins import Plugins, check_unchanged, load_again, owners
from trading_assets.core.plugins.seats import put_in_force
from trading_assets.placebo.judging import Verdict, judge
from trading_assets.placebo.worlds import World

if TYPE_CHECKING:
    from trading_assets.settings import Settings, StrategySettings

Progress = Callable[[Verdict], None]
"""Called with each verdict, those of earlier runs first."""

ONE_CORE = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHON_CPU_COUNT": "1"}
"""Each process keeps one core busy: it trains fold after fold, and folds and follows candles in one thread."""

LISTEN_SECONDS = 0.5
"""Ctrl-C is noticed within this: Polars' signal handler restarts system calls, so a longer wait would not hear it."""


@dataclass(frozen=True)
class Plan:
    """What is judged, and by which rules.

    Attributes
    ----------
    worlds
        The worlds.
    settings
        Labels, backtest, risk and gates.
    model
        A model specification of the settings.
    source
        Candles of a real market that null worlds are made from; None for a synthetic one.
    folder
        Where verdicts are kept, a file for each set of rules.
    workers
        Processes.
    trials
        With some, the older part of each world is searched by so many, and what is found is judged on the rest.
    """

    worlds: Sequence[World]
    settings: Settings
    model: str
    source: pl.DataFrame | None
    folder: Path
    workers: int
    trials: int = 0

    @property
    def spec(self) -> StrategySettings:
        """The model's specification."""
        return self.settings.models[self.model]

    @cached_property
    def file(self) -> Path:
        """The verdicts under these rules: other settings, source or code of this package have another file."""
        from trading_assets.core.content_hash import frame_hash

        settings = self.settings
        rules: dict[str, object] = {
            "spec": self.spec.model_dump(mode="json", exclude={"markets", "holdout_days"}),
            "labels": settings.labels[self.spec.label].model_dump(mode="json"),
            "gates": settings.gates_of(self.model).model_dump(mode="json"),
            "backtest": settings.simulation.model_dump(mode="json"),
            "risk": settings.trading.risk.model_dump(mode="json"),
            "code": _code_hash(),
            "source": None if self.source is None else frame_hash(self.source),
        }
        if self.trials:
            space = {name: repr(one) for name, one in settings.search.of(self.model).items()}
            rules["search"] = [self.trials, settings.search.unseen_share, settings.search.prune, space]
        if settings.loaded_plugins:
            rules["plugins"] = [one.digest for one in settings.loaded_plugins]
        name = hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:16]
        return self.folder / f"{name}.jsonl"


def run_worlds(plan: Plan, progress: Progress) -> list[Verdict]:
    """Judge the worlds of a plan, in parallel; each verdict is on disk before it is counted.

    A run that is killed goes on where it stopped; a verdict cut in half by the kill is made again.

    Raises
    ------
    TradingError
        Of the first world that could not be judged, or where another process judges by the same rules.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    # Two runs would judge the same worlds twice.
    busy = TradingError("another process is judging by the same rules", where="placebo", remedy="wait until it is done")
    with held_alone(plan.file.with_suffix(".lock"), busy):
        return _run(plan, progress)


def _run(plan: Plan, progress: Progress) -> list[Verdict]:
    known = {_key(verdict): verdict for verdict in _read(plan.file)}
    done = [known[key] for world in plan.worlds if (key := _key(world)) in known]
    for verdict in done:
        progress(verdict)
    left = [world for world in plan.worlds if _key(world) not in known]
    if not left:
        return done
    others = set(active_children())
    plugins = plan.settings.loaded_plugins
    for plugin in plugins:
        check_unchanged(plugin)
    inherited = {name: os.environ.get(name) for name in ONE_CORE}
    os.environ.update(ONE_CORE)
    try:
        with ProcessPoolExecutor(
            min(plan.workers, len(left)),
            get_context("spawn"),
            initializer=_begin,
            initargs=(plugins, pickle.dumps(plan)),
        ) as pool:
            futures = {pool.submit(_judge, world) for world in left}
            try:
                while futures:
                    finished, futures = wait(futures, LISTEN_SECONDS, FIRST_COMPLETED)
                    for future in finished:
                        verdict = future.result()
                        _append(plan.file, verdict)
                        done.append(verdict)
                        progress(verdict)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for worker in set(active_children()) - others:  # a world takes a minute to end by itself
                    worker.kill()
                raise
    finally:
        for name, value in inherited.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    return done


def _key(one: World | Verdict) -> tuple[str, int, int]:
    return one.stream, one.seed, one.days


_plan: Plan


def _begin(plugins: Plugins, plan: bytes) -> None:
    global _plan  # a worker's own copy, sent once instead of with every world
    load_again(plugins)  # first: what the plan holds may be of their classes
    put_in_force(owners(plugins))
    _plan = pickle.loads(plan)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """End this worker where the run was killed: it would wait for its next world for ever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _code_hash() -> str:
    """Of everything that a verdict may rest on: a leak that a change brings must not be hidden by older verdicts."""
    from trading_assets.sql.loading import MODELS_FOLDER

    found = hashlib.sha256()
    for folder, pattern in ((Path(__file__).parents[1], "*.py"), (MODELS_FOLDER, "*.sql")):
        for file in sorted(folder.rglob(pattern)):
            found.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()


def _judge(world: World) -> Verdict:
    asked = _plan.settings.search.of(_plan.model)
    return judge(world, _plan.settings, _plan.spec, _plan.source, asked=asked, trials=_plan.trials)


def _read(file: Path) -> Iterable[Verdict]:
    if not file.exists():
        return
    for line in file.read_text().splitlines():
        try:
            values = json.loads(line)
        except json.JSONDecodeError:
            continue  # the half line of a killed run
        yield Verdict(**values | {"failed": tuple(values["failed"])})


def _append(file: Path, verdict: Verdict) -> None:
    started = file.exists() and not file.read_bytes().endswith(b"\n")
    with file.open("a") as handle:
        handle.write(("\n" if started else "") + json.dumps(asdict(verdict)) + "\n")
        handle.flush()
        os.fsync(handle.fileno())
