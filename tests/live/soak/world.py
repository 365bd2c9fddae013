"""One life of the node at the local exchange with faults and deaths by a seed, and what is wrong in the end.

A world is small and dense: two hours of a market, a model that enters whenever it may, a script of faults, one or two
kills. Worlds share nothing but the candles, the model and the parent of their processes, so that several go on side by
side in one process.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import MARKET, START, bundle_maker, meaningless, put_live, store_markets
from tests.live.forks import Forked, Forks
from tests.live.plans import MOVING_PLAN
from tests.live.soak.naked import Naked, lacking
from tests.live.soak.truth import account_at, differences
from trading_assets import features, models
from trading_assets.core.timeframes import Timeframe
from trading_assets.settings import Settings, load_settings
from trading_assets.sql import build_bars, load_models
from trading_assets.store import open_store
from trading_live.operations.heartbeat import read_heartbeat
from trading_live.replay import Faults, ReplayServer
from trading_live.replay.fault_draws import drawn
from trading_live.replay.faults import Fault
from trading_live.replay.orders.opening import terms_of
from trading_live.replay.tape import Tape, read_tape
from trading_live.venues.account.base import RestAccount

STRETCHES = 40
"""Worlds begin at as many hours of the market."""
FAULTY = timedelta(minutes=105)
"""How long anything may go wrong; then the venue answers, and nobody dies."""
QUIET = timedelta(minutes=15)
DOWN = timedelta(minutes=20)
"""How long the market goes on at most while a node that died is started again."""
SPEED = 900
PATIENCE_S = 300.0
SETTLED_S = 90.0
LOOK_S = 0.1
ENDS = 10
"""Starts that a node may refuse or give up, as one does that finds the venue in maintenance."""
DEADLY = ("POST /fapi/v1/order", "POST /fapi/v1/algoOrder", "DELETE /fapi/v1/order", "DELETE /fapi/v1/algoOrder")
"""Requests at which a node may die: it has sent them, and hears nothing more."""
MINDING = ("trading", "silent", "managing")
"""States in which a node keeps what is open protected: without bars, and without a model, too."""
LEARNT = ("rsi_14", "roc_1", "roc_4", "close_location", "bollinger_width_20")
PLAN = MOVING_PLAN.model_copy(update={"hold_hours": 1.0})
SETTINGS = {
    "TRADING_NODE__MODE": "live",
    "TRADING_NODE__RECONCILE_S": "3",
    "TRADING_NODE__CONNECT_ATTEMPTS": "60",
    "TRADING_NODE__CONNECT_TIMEOUT_S": "5",
    "TRADING_NODE__POLL_DEPLOYMENT_S": "60",
    "TRADING_NODE__INSTRUMENT_REFRESH_S": "2",
    "TRADING_NODE__JOURNAL_FEATURES": "false",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a seed; ``wrong`` is empty where nothing is.

    Attributes
    ----------
    seed
        Of the world.
    faults
        Those that struck, in their order.
    kills
        How often the node was killed.
    orders, fills
        At the venue.
    naked_s, where
        The longest that a position had no stop of its size while a node traded and the venue answered, and which.
    wrong
        In words.
    wall_s
        How long it took.
    """

    seed: int
    faults: list[str]
    kills: int
    orders: int
    fills: int
    naked_s: float
    where: str
    wrong: list[str]
    wall_s: float

    def row(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)


@dataclass(eq=False)
class Told(Faults):
    """Faults that say which of them struck, and when the venue answers again; at a request, the node may die.

    Attributes
    ----------
    struck
        The monotonic second from which on nothing is wrong any more.
    done
        The kinds that struck.
    deadly
        (part of a request, how many of them more): at which to call ``die``.
    """

    struck: float = 0.0
    done: list[str] = field(default_factory=list)
    deadly: list[tuple[str, int]] = field(default_factory=list)
    die: Any = None

    def of_symbols(self, now: datetime) -> list[Fault]:
        found = Faults.of_symbols(self, now)
        self.done += [one.fault for one in found if one.fault not in self.done]
        return found

    def _striking(self, text: str) -> list[Fault]:
        self._may_die(text)
        found = Faults._striking(self, text)
        if found:
            lasts = max(one.retry_after_s or 0.0 for one in found)
            lasts += max((one.seconds for one in found if one.fault in ("event_late", "timeout")), default=0.0)
            self.struck = max(self.struck, time.monotonic() + lasts)
            self.done += [one.fault for one in found]
        return found

    def _may_die(self, text: str) -> None:
        if not self.deadly or not text.endswith(self.deadly[0][0]):
            return
        part, left = self.deadly[0]
        if left:
            self.deadly[0] = (part, left - 1)
        elif self.die():
            self.deadly.pop(0)


def prepare(folder: Path) -> Path:
    """Write the markets and a model that enters whenever it may; once for all seeds."""
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        store_markets(folder)
        bars = build_bars(
            open_store(f"duckdb:///{folder / 'market.duckdb'}"),
            load_models()["bars_15m"],
            market=MARKET,
            timeframe="1m",
            start=START - timedelta(days=40),
            end=START,
        )
        rows = features.compute(bars, timeframe=Timeframe.parse("15m"))
        data = models.join(rows, meaningless(rows), names=LEARNT, fingerprint=features.fingerprint())
        bundle_maker(data)(folder / "bundles", exit_plan=PLAN)
        (folder / "ready").touch()
    return folder


@dataclass(frozen=True)
class Ground:
    """What all worlds stand on, read once.

    Attributes
    ----------
    folder
        As :func:`prepare` has left it.
    environment, settings
        Of their nodes, but for the data folder.
    tape
        All candles.
    """

    folder: Path
    environment: Mapping[str, str]
    settings: Settings
    tape: Tape

    @classmethod
    def of(cls, folder: Path) -> Ground:
        """What :func:`prepare` left in a folder."""
        url = f"duckdb:///{folder / 'market.duckdb'}"
        environment = {**os.environ, **SETTINGS, "TRADING_STORE__URL": url}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            settings = load_settings()
        return cls(folder, environment, settings, read_tape(open_store(url), {MARKET: "1m"}, start=START))


class _Gone(Exception):
    """The only market of the world is traded no more, and nothing of the node is open there."""


class World:
    """The node's processes of one seed, one after the other, and their venue.

    Parameters
    ----------
    seed
        Of faults, deaths and the stretch of the market.
    ground
        Shared with the others.
    folder
        Of this world alone.
    forks
        Starts processes.
    """

    def __init__(self, seed: int, ground: Ground, folder: Path, forks: Forks) -> None:
        self.seed, self.folder, self._forks = seed, folder, forks
        self.chance = random.Random(f"world {seed}")
        self.start = START + timedelta(hours=seed % STRETCHES)
        self.end = self.start + FAULTY + 2 * QUIET
        script = drawn(seed, self.start, self.start + FAULTY, least=3, most=8, later=3, symbols=seed % 4 == 0)
        self.faults = Told(script)
        self.wrong: list[str] = []
        self.process: Forked | None = None
        self.died: Forked | None = None
        self.kills = self.ends = 0
        self.heard = frozenset[str]()
        self.settings = ground.settings.model_copy(update={"data_dir": folder / "data"})
        self.settings.data_dir.mkdir(parents=True)
        self.environment = {
            **ground.environment,
            "TRADING_DATA_DIR": str(self.settings.data_dir),
            "TMPDIR": str(folder),
        }
        self.server = ReplayServer(
            Tape(list(ground.tape.instruments.values()), self.start, self.end),
            speed=SPEED,
            faults=self.faults,
            terms=terms_of(self.settings),
        )
        _deploy(self.settings, ground.folder)

    def live(self) -> Outcome:
        """Run the node through the faults and deaths, and compare journal and venue when all is well again."""
        begun = time.monotonic()
        with self.server:
            here = {
                "TRADING_NODE__BASE_URL_HTTP": self.server.url_http,
                "TRADING_NODE__BASE_URL_WS": self.server.url_ws,
            }
            self.environment |= here
            naked = Naked(self.server.account, lambda: self.trades, self.faults)
            try:
                with naked.watched():
                    self._live()
            except _Gone:
                self.wrong += self._differences()
            except AssertionError as error:
                self.wrong.append(str(error))
            finally:
                if self.process is not None:
                    self.process.kill()
                    self.process.wait()
            account = self.server.account
            return Outcome(
                self.seed,
                self.faults.done,
                self.kills,
                len(account.orders) + len(account.conditionals),
                len(account.fills),
                round(naked.longest, 2),
                naked.where,
                self.wrong,
                round(time.monotonic() - begun, 1),
            )

    def _live(self) -> None:
        kills = self.chance.choice((1, 1, 2))
        self.faults.die = self._die
        moments = sorted(self.start + FAULTY * self.chance.random() for _ in range(kills))
        self._start()
        for moment in moments:
            if self.chance.random() < 0.5:
                self._until(moment)
                self._die()
            else:
                self.faults.deadly.append((self.chance.choice(DEADLY), self.chance.randint(0, 4)))
        self._until(self.start + FAULTY)
        self.faults.clear()
        self.faults.deadly.clear()
        self._until(self.start + FAULTY + QUIET)
        self.server.pause()
        self._settled()
        self._end()

    @cached_property
    def _account(self) -> RestAccount:
        return account_at(self.server)

    @property
    def trades(self) -> bool:
        """Whether the newest process minds what is open, and listens to all that a former one listened to.

        So does one whose market is traded no more, through the account, and one that decides nothing as no bars come.
        """
        process, beat = self.process, read_heartbeat(self.settings.live_dir)
        if process is None or process.poll() is not None or beat is None or beat.pid != process.pid:
            return False
        listens = beat.state in MINDING and (self.server.streams >= self.heard or MARKET in beat.refused)
        self.heard |= self.server.streams if listens else set()
        return listens

    def _start(self) -> None:
        self.process = self._forks.start(self.environment, self.folder / f"output-{time.monotonic_ns()}.txt")

    def _die(self) -> bool:
        """Kill the node; from the venue's thread too, so that nothing is waited for."""
        process = self.process
        if process is None or process is self.died:
            return False
        self.died = process
        self.kills += 1
        process.kill()
        return True

    def _until(self, moment: datetime) -> None:
        """Let the market go on; a node that has ended is started again."""
        deadline = time.monotonic() + PATIENCE_S
        self.server.play_until(moment)
        while self.server.now < moment - timedelta(minutes=1):
            if self._look():
                self.server.play_until(moment)
            if time.monotonic() > deadline:
                raise AssertionError(f"the market stands at {self.server.now}: {self._said()}")
            time.sleep(LOOK_S)

    def _look(self) -> bool:
        """Start a node that has ended, as its supervisor would; whether the market has to be let go on again."""
        assert self.process is not None
        if self.process is self.died:
            self.process.wait()
            self.server.play_until(self.server.now + DOWN * self.chance.random())
            time.sleep(self.chance.random() / 2)
            self._start()
            deadline = time.monotonic() + PATIENCE_S
            while not self.trades and time.monotonic() < deadline and self.process is not self.died:
                self._look()
                time.sleep(LOOK_S)
            return True
        if self.process.poll() is None:
            return False
        if self.process.returncode != 2:
            self.wrong.append(f"the node ended with {self.process.returncode}: {self._said()}")
        self.ends += 1
        if "the venue does not have" in self._said():
            raise _Gone
        if self.ends > ENDS:
            raise AssertionError(f"the node does not stay: {self._said()}")
        time.sleep(LOOK_S)
        self._start()
        return False

    def _said(self) -> str:
        return "" if self.process is None else self.process.said

    def _settled(self) -> None:
        """Wait until journal and venue agree and what is held is protected, as long as a few comparisons take."""
        deadline = time.monotonic() + SETTLED_S
        while (found := self._differences()) and time.monotonic() < deadline:
            self._look()
            time.sleep(2 * LOOK_S)
        self.wrong += found

    def _differences(self) -> list[str]:
        bare = lacking(self.server.account)
        return [f"without a stop in the end: {bare}"] if bare else differences(self, self._account)

    def _end(self) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            traded = self.trades
            self.process.send_signal(signal.SIGTERM)
            if (code := self.process.wait(PATIENCE_S)) and traded and "the venue does not have" not in self._said():
                self.wrong.append(f"SIGTERM ended it with {code}: {self._said()}")
        if not self.wrong and self._differences():  # what fills as a node ends, the next one finds
            self._start()
            self._settled()


def _deploy(settings: Settings, prepared: Path) -> None:
    made = next((prepared / "bundles").rglob("bundle.json"))
    folder = settings.bundles_dir / made.parent.relative_to(prepared / "bundles")
    shutil.copytree(made.parent, folder)
    put_live(settings, models.load(folder))


def live_through(seed: int, ground: Ground, forks: Forks, *, keep: bool = False) -> Outcome:
    """What becomes of a seed, in a folder of its own, which is kept where something was wrong and that is asked for."""
    folder = Path(tempfile.mkdtemp(prefix=f"soak-{seed}-"))
    outcome = World(seed, ground, folder, forks).live()
    if not (keep and (outcome.wrong or outcome.naked_s > 2)):
        shutil.rmtree(folder, ignore_errors=True)
    return outcome
