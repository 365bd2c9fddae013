"""A hundred small worlds of faults and ``kill -9``: nothing is lost or doubled, and journal and venue end as one.

What is judged here does not depend on how fast this machine is: how long a position was without a stop is measured,
and held against its limit of two seconds by ``python -m tests.live.soak`` (`make soak`) alone. That a stop never came
is wrong here, too. When an order meets a fault is a matter of milliseconds, so that no two runs of a seed are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.live.forks import parent
from tests.live.soak.table import NOT_DRAWN, page
from tests.live.soak.world import Ground, Outcome, live_through, prepare
from tests.shared import made_once
from trading_live.replay import fault_draws, fault_kinds

SEEDS = 100
BESIDE = 6
AHEAD = 20
"""So many worlds are begun or wait for their turn: a slow one holds up no other."""
NEVER_S = 60.0
"""A stop that takes longer did not come."""

type Run = Callable[[int], Future[Outcome]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Runs a seed, as soon as few enough others go on beside it."""
    ground = Ground.of(made_once(tmp_path_factory, "soak", prepare_in) / "soak")
    forks = parent()
    with ThreadPoolExecutor(BESIDE) as pool:
        yield lambda seed: pool.submit(live_through, seed, ground, forks)
        pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def outcome(request: pytest.FixtureRequest, run: Run) -> Callable[[int], Outcome]:
    """What becomes of a seed; those of the next tests go on ahead of them, which mostly wait."""
    here = [item for item in request.session.items if isinstance(item, pytest.Function) and item.path == request.path]
    seeds = [item.callspec.params["seed"] for item in here if "seed" in item.fixturenames]
    begun: dict[int, Future[Outcome]] = {}

    def first(seed: int) -> Outcome:
        at = seeds.index(seed)
        for one in seeds[at : at + AHEAD]:
            if one not in begun:
                begun[one] = run(one)
        return begun[seed].result()

    return first


def prepare_in(folder: Path) -> None:
    prepare(folder / "soak")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_nothing_is_lost_or_doubled_whatever_goes_wrong(seed: int, outcome: Callable[[int], Outcome]) -> None:
    one = outcome(seed)
    assert problems(one) == [], f"{one.faults}, {one.kills} kills"


def problems(one: Outcome) -> list[str]:
    """What went wrong; that a stop came late is not, that none ever came is."""
    return [*one.wrong, *([f"{one.where} never had a stop"] if one.naked_s >= NEVER_S else [])]


def test_the_page_counts_each_run_by_the_faults_that_struck_it() -> None:
    rows = [
        {
            "seed": 1,
            "faults": ["429", "429", "drop"],
            "kills": 1,
            "orders": 3,
            "fills": 2,
            "naked_s": 0.5,
            "where": "",
            "wrong": [],
        },
        {
            "seed": 2,
            "faults": ["drop"],
            "kills": 0,
            "orders": 3,
            "fills": 2,
            "naked_s": 2.5,
            "where": "AAA",
            "wrong": [],
        },
        {"seed": 4, "faults": [], "kills": 2, "orders": 0, "fills": 0, "naked_s": 0.0, "where": "", "wrong": ["lost"]},
    ]
    text = "\n".join(page(rows))
    assert "| `429` | 1 | 0 | 0.5 s |" in text
    assert "| `drop` | 2 | 1 | 2.5 s |" in text
    assert "| `kill -9` | 2 | 1 | 0.5 s |" in text
    assert "3 runs (seeds 1 to 4)" in text
    assert "In 1 runs nothing was ordered" in text
    assert "without a stop for 2.5 s: AAA" in text
    assert all(f"`{kind}`" in text for kind in fault_kinds.KINDS), "each fault has a row, or a reason"
    assert not NOT_DRAWN.keys() & set(fault_draws.KINDS)
