"""Many worlds side by side, one process each; what was judged before is not judged again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from trading_assets.placebo.judging import Verdict, judge
from trading_assets.placebo.worlds import World

if TYPE_CHECKING:
    from trading_assets.settings import ModelSettings, Settings

Progress = Callable[[Verdict], None]
"""Called with each verdict, those of earlier runs first."""

_ONE_THREAD = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Each process keeps one core busy."""


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
        Candles of a real market for permuted worlds; None for a synthetic one.
    folder
        Where verdicts are kept, a file for each set of rules.
    workers
        Processes.
    """

    worlds: Sequence[World]
    settings: Settings
    model: str
    source: pl.DataFrame | None
    folder: Path
    workers: int

    @property
    def spec(self) -> ModelSettings:
        """The model's specification."""
        return self.settings.models[self.model]

    @property
    def file(self) -> Path:
        """The verdicts under these rules: other settings, features or source have another file."""
        from trading_assets.features import fingerprint
        from trading_assets.models.hashing import frame_hash

        settings = self.settings
        rules = {
            "spec": self.spec.model_dump(mode="json", exclude={"markets", "holdout_days"}),
            "labels": settings.labels.model_dump(mode="json"),
            "gates": settings.gates.model_dump(mode="json"),
            "backtest": settings.backtest.model_dump(mode="json"),
            "risk": settings.node.risk.model_dump(mode="json"),
            "features": fingerprint(),
            "source": None if self.source is None else frame_hash(self.source),
        }
        name = hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:16]
        return self.folder / f"{name}.jsonl"


def run_worlds(plan: Plan, progress: Progress) -> list[Verdict]:
    """Judge the worlds of a plan, in parallel; each verdict is on disk before it is counted.

    A run that is killed goes on where it stopped; a verdict cut in half by the kill is made again.

    Raises
    ------
    TradingError
        Of the first world that could not be judged.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    known = {(v.kind, v.seed, v.days): v for v in _read(plan.file)}
    done = [known[key] for world in plan.worlds if (key := (world.kind, world.seed, world.days)) in known]
    for verdict in done:
        progress(verdict)
    left = [world for world in plan.worlds if (world.kind, world.seed, world.days) not in known]
    if not left:
        return done
    inherited = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    try:
        with ProcessPoolExecutor(
            min(plan.workers, len(left)), get_context("spawn"), initializer=_begin, initargs=(plan,)
        ) as pool:
            futures = [pool.submit(_judge, world) for world in left]
            try:
                for future in as_completed(futures):
                    verdict = future.result()
                    _append(plan.file, verdict)
                    done.append(verdict)
                    progress(verdict)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        for name, value in inherited.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    return done


_plan: Plan


def _begin(plan: Plan) -> None:
    global _plan  # a worker's own copy, sent once instead of with every world
    _plan = plan


def _judge(world: World) -> Verdict:
    return judge(world, _plan.settings, _plan.spec, _plan.source)


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
