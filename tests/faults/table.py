"""Each fault alone: how often the source asked, what came of it, what was lost: ``python -m tests.faults.table``."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from tests.exchange import LocalExchange
from tests.faults.world import MINUTE, START, TOO_LATE_S, World, source_log, walk
from tests.stores import fresh_store
from trading_assets.core.errors import SourceError
from trading_assets.store.tables import CANDLE_GAPS, CANDLE_REVISIONS
from trading_live.replay.faults import Fault

MINUTES: Final = 190
HOUR: Final = {"start": START + 80 * MINUTE, "end": START + 140 * MINUTE}


@dataclass(frozen=True, slots=True)
class Case:
    """One fault, as a script of the local exchange.

    Attributes
    ----------
    name
        As the table shows it.
    script
        What the exchange does.
    mends
        Whether the missing candles are asked for again in the end (``trading gaps --repair``).
    hole
        Candles that the exchange never had: those that open in [start, end).
    """

    name: str
    script: tuple[Fault, ...]
    mends: bool = False
    hole: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """What one fault led to."""

    name: str
    tries: str
    outcome: str
    lost: int


def _fault(kind: str, *, after: int = 1, times: int | None = 2, **options: Any) -> Fault:
    return Fault.model_validate({"fault": kind, "after": after, "times": times, **options})


CASES: Final = (
    Case("429 without Retry-After, twice", (_fault("429"),)),
    Case("429 with Retry-After: 7, twice", (_fault("429", retry_after_s=7),)),
    Case("418 ban with Retry-After: 30", (_fault("418", times=1, retry_after_s=30),)),
    Case("418 ban for two hours", (_fault("418", times=1, retry_after_s=7200),)),
    Case("500, twice", (_fault("500"),)),
    Case("502 as a web page, twice", (_fault("502"),)),
    Case("503 overloaded, twice", (_fault("503"),)),
    Case("no answer within the time-out", (_fault("timeout", times=1, seconds=TOO_LATE_S),)),
    Case("connection dropped, twice", (_fault("drop"),)),
    Case("truncated JSON, twice", (_fault("truncated"),)),
    Case("HTML with status 200, twice", (_fault("html"),)),
    Case("maintenance for 4 requests", (_fault("maintenance", times=4),)),
    Case("an empty page, once", (_fault("empty", times=1),)),
    Case("empty pages, four in a row", (_fault("empty", times=4),), mends=True),
    Case("duplicated rows, always", (_fault("duplicated", after=0, times=None),)),
    Case("reordered rows, always", (_fault("reordered", after=0, times=None),)),
    Case("the newest candles revised later", (_fault("revised", after=0, times=20),)),
    Case("an hour missing at first", (_fault("missing", after=0, times=9, **HOUR),), mends=True),
    Case("an hour missing for good", (), mends=True, hole=(80, 140)),
    Case("listed in the middle of the range", (), hole=(0, 130)),
    Case("the exchange's clock 90 s ahead", (_fault("clock_ahead", after=0, times=None, seconds=90),)),
    Case("401 refused key", (_fault("401", times=1),)),
    Case("403 forbidden", (_fault("403", times=1),)),
)


def run_case(case: Case, exchange: LocalExchange, folder: Path) -> Line:
    """Fetch under the fault, then, where that was not enough, once more in quiet; log and store tell the rest."""
    truth = walk(MINUTES + 40)
    if case.hole is not None:
        begin, end = (START + minute * MINUTE for minute in case.hole)
        truth = truth.filter(~pl.col("ts").is_between(begin, end, "left"))
    store = fresh_store(folder)
    with store.kept_open():
        return _line(case, World(exchange, store, truth, START + MINUTES * MINUTE, attempts=5))


def _line(case: Case, world: World) -> Line:
    exchange, truth = world.exchange, world.truth
    exchange.faults.clear()
    begin_at = exchange.faults.counted()
    exchange.faults.script = [fault.model_copy(update={"after": fault.after + begin_at}) for fault in case.script]
    exchange.faults.asked.clear()
    exchange.hold(truth if case.name.startswith("the exchange's clock") else truth.filter(pl.col("ts") < world.now))
    failure = ""
    with source_log() as lines:
        try:
            world.session()
        except SourceError as error:
            failure = error.what
    struck = sum(bool(asked.faults) for asked in exchange.faults.asked)
    early = world.stored().filter(pl.col("ts") + MINUTE > world.now).height
    first_lost = world.lost()
    exchange.faults.clear()
    if failure or case.mends or first_lost:
        world.now += 30 * MINUTE
        world.show()
        world.session()
    if case.mends:
        world.mend()
    told = list(_outcome(world, lines, failure, first_lost, early))
    tries = f"{struck} spoilt, {world.retries} repeated" if case.script else "0 spoilt"
    return Line(case.name, tries, "; ".join(told), world.lost())


def _outcome(world: World, lines: list[str], failure: str, first_lost: int, early: int) -> Iterator[str]:
    if failure:
        yield f"reported: {_short(failure)}"
    elif world.slept:
        yield f"waited {', '.join(f'{seconds:.0f} s' for seconds in world.slept)}, went on"
    yield from (line.split(": ", 1)[1] for line in lines if "lists" in line)
    yield from ("asked again at once, believed the second answer" for line in lines if "an empty answer, then" in line)
    if early:
        yield f"{early} OPEN BARS STORED"
    if revised := world.store.read(CANDLE_REVISIONS).height:
        yield f"{revised} revisions recorded, old and new"
    if first_lost and not failure and not revised:
        yield f"{first_lost} missing at first, brought in by the repair"
    elif failure:
        yield "the next run went on where it stopped"
    reasons = world.store.read(CANDLE_GAPS).filter(pl.col("end") <= world.now)
    yield from (f"ledger: {row['candles']} {row['reason']}" for row in reasons.iter_rows(named=True))


def _short(text: str) -> str:
    """The message up to the status, without what ccxt makes of it."""
    return re.sub(r"(HTTP \d+).*", r"\1", text)


def run_all() -> list[Line]:
    """All faults, one after the other."""
    exchange = LocalExchange()
    exchange.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            lines = []
            for number, case in enumerate(CASES):
                home = Path(folder) / str(number)
                home.mkdir()
                lines.append(run_case(case, exchange, home))
            return lines
    finally:
        exchange.stop()


def as_markdown(lines: list[Line]) -> str:
    """The table of ``docs/concepts/faults.md``."""
    rows = [f"| {line.name} | {line.tries} | {line.outcome or 'nothing to do'} | {line.lost} |" for line in lines]
    return "\n".join(["| fault | requests | outcome | candles lost |", "|---|---|---|---:|", *rows])


if __name__ == "__main__":
    print(as_markdown(run_all()))  # noqa: T201
