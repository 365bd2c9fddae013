"""Features: a year of minutes' worth of rows, ten markets, one more day, one more bar; beside TA-Lib and pandas-ta.

The live rows time one call of ``compute`` after another on the ``lookback_bars`` newest bars, as the node makes it
when a bar closes: one new row of every feature, in a process with the node's environment. The first calls, which load
the compiled loops and plan the work, are not counted; the collector of garbage is on, as it is in the node. The best of
three processes counts, as the best of a few runs does elsewhere: the worst hundredth is what others do on the machine.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import polars as pl

from benchmarks.table import Measurement, Target, best_of, main
from benchmarks.walk import YEAR_OF_MINUTES, walk
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import LIVE_ENVIRONMENT, compute, feature_names, lookback_bars, registry, select
from trading_assets.features.framework import computation
from trading_assets.features.framework.spans import DAY, WEEK, Span, bars_of

BARS_OF_A_DAY = 96
M1, M15 = Timeframe.parse("1m"), Timeframe.parse("15m")
LIVE = ("1m", "15m", "1h", "1d")
CHOSEN = ("momentum", "averages", "oscillators")
"""Three families, forty columns."""

LOOKBACK_BARS = lookback_bars(M15)
_WARM_UP = 20
_LIVE_BARS = 700
_LIVE_RUNS = 3
ROOT = Path(__file__).resolve().parents[1]


def run() -> list[Measurement]:
    """Time features."""
    bars = walk(YEAR_OF_MINUTES)
    count = len(feature_names(M15))
    peers = {"TA-Lib": _by_talib(bars), "pandas-ta-classic": _by_pandas_ta(bars)}
    whole = best_of(lambda: compute(bars, timeframe=M15), repeat=6)
    measured = [
        Measurement(
            f"features: {count} columns, one market, peak {_peak_gb():.2f} GB",
            whole,
            bars.height,
            target=Target(max_seconds=1.2),
        )
    ]
    for (name, calls), limit in zip(peers.items(), (1.5, 1 / 15), strict=True):
        if calls is None:
            continue
        names = [column for columns, _ in calls for column in columns]
        seconds = _seconds(calls, repeat=3 if name == "TA-Lib" else 1)
        shared = select(names, M15)
        measured.append(
            Measurement(
                f"features: the {len(names)} columns that {name} has",
                best_of(lambda shared=shared: computation.compute(bars, shared)),
                bars.height,
                name,
                seconds,
                Target(max_times_peer=limit),
            )
        )
    minutes = walk(YEAR_OF_MINUTES, timeframe="1m")
    chosen = feature_names(M1, CHOSEN)
    measured += [
        Measurement(
            f"features: {len(feature_names(M1))} columns of a year of minutes",
            best_of(lambda: compute(minutes, timeframe=M1), repeat=6),
            minutes.height,
            "the same rows as 15 minutes",
            whole,
            Target(max_seconds=1.2),
        ),
        Measurement(
            f"features: {len(chosen)} chosen columns of a year of minutes",
            best_of(lambda: compute(minutes, timeframe=M1, features=CHOSEN), repeat=6),
            minutes.height,
            "all columns",
            whole,
            Target(max_seconds=0.25),
        ),
    ]
    once, ten = _one_and_ten(bars)
    short = [walk(YEAR_OF_MINUTES // 10, seed=seed) for seed in range(10)]
    day = bars[-(BARS_OF_A_DAY + LOOKBACK_BARS - 1) :]
    live = {timeframe: min((_live(timeframe) for _ in range(_LIVE_RUNS)), key=_p99) for timeframe in LIVE}
    return [
        *measured,
        Measurement(
            "features: ten markets, one after another",
            ten,
            10 * bars.height,
            "ten times one market",
            10 * once,
            Target(max_times_peer=1.1),
        ),
        Measurement(
            "features: ten markets of a tenth of the rows",
            best_of(lambda: [compute(one, timeframe=M15) for one in short]),
            bars.height,
            "one market",
            whole,
        ),
        Measurement(
            "features: one more day, whatever the history",
            best_of(lambda: compute(day, timeframe=M15), repeat=10),
            BARS_OF_A_DAY,
            target=Target(max_seconds=0.05),
        ),
        *(
            Measurement(f"features: one live bar of {timeframe}, median", statistics.median(seconds))
            for timeframe, seconds in live.items()
        ),
        *(
            Measurement(f"features: one live bar of {timeframe}, p99", _p99(seconds), target=Target(max_seconds=0.01))
            for timeframe, seconds in live.items()
        ),
    ]


def _one_and_ten(bars: pl.DataFrame) -> tuple[float, float]:
    """Seconds of one market, and of ten others in all; in turns, as the machine's pace changes."""
    others = [walk(YEAR_OF_MINUTES, seed=100 + seed) for seed in range(10)]
    times: dict[str, list[float]] = {"one": [], "ten": []}
    for number, other in enumerate(others):
        pair = [("one", bars), ("ten", other)]
        for name, frame in pair if number % 2 else reversed(pair):
            times[name].append(best_of(lambda frame=frame: compute(frame, timeframe=M15), repeat=2))
    return statistics.mean(times["one"]), sum(times["ten"])


def _peak_gb() -> float:
    """The peak memory of a process that computes the year, from its start on."""
    # of its own pages: what getrusage says of a child begins with its parent's peak
    (kilobytes,) = _in_a_process(
        "from benchmarks.features import *; rows = compute(walk(YEAR_OF_MINUTES), timeframe=M15);"
        "print(*(line.split()[1] for line in Path('/proc/self/status').open() if line.startswith('VmHWM')))"
    )
    return kilobytes * 1024 / 1e9


def _in_a_process(code: str, environment: Mapping[str, str] = MappingProxyType({})) -> list[float]:
    """The numbers that a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [float(number) for number in done.stdout.split()]


def _live(timeframe: str) -> list[float]:
    code = f"from benchmarks.features import latencies; print(*latencies({timeframe!r}))"
    return _in_a_process(code, LIVE_ENVIRONMENT)


def _p99(seconds: list[float]) -> float:
    return float(np.quantile(seconds, 0.99))


def latencies(timeframe: str) -> list[float]:
    """Seconds of each live bar of a timeframe after the first few."""
    bar = Timeframe.parse(timeframe)
    held = lookback_bars(bar)
    bars, seconds = walk(held + _WARM_UP + _LIVE_BARS, timeframe=timeframe), []
    for last in range(held, held + _WARM_UP + _LIVE_BARS):
        tail = bars[last - held : last]
        begin = time.perf_counter()
        compute(tail, timeframe=bar)
        seconds.append(time.perf_counter() - begin)
    return seconds[_WARM_UP:]


type Calls = list[tuple[list[str], Callable[[], object]]]


def _seconds(calls: Calls, *, repeat: int) -> float:
    return best_of(lambda: [call() for _, call in calls], repeat=repeat)


def _by_talib(bars: pl.DataFrame) -> Calls:
    """Our columns and TA-Lib's call that gives the same indicator."""
    import talib as ta

    o, h, low, c, v = (bars[name].to_numpy() for name in ("open", "high", "low", "close", "volume"))
    patterns: Calls = [
        ([name], lambda talib=feature.source.split()[1]: getattr(ta, talib)(o, h, low, c))  # noqa: B008
        for name, feature in registry(M15).items()
        if feature.family == "patterns"
    ]
    return [
        *(([f"ema_{n}_distance"], lambda n=n: ta.EMA(c, n)) for n in (9, 21, 50, 200)),
        *(([f"roc_{n}"], lambda n=n: ta.ROCP(c, bars_of(n, M15))) for n in (1, 4, 16, Span("12h"), DAY, WEEK)),
        *(([f"sma_{n}_distance"], lambda n=n: ta.SMA(c, bars_of(n, M15))) for n in (DAY, WEEK)),
        *(([f"rsi_{n}"], lambda n=n: ta.RSI(c, n)) for n in (14, 28)),
        (["macd", "macd_signal", "macd_hist"], lambda: ta.MACD(c)),
        (["adx_14"], lambda: ta.ADX(h, low, c)),
        (["plus_di_14"], lambda: ta.PLUS_DI(h, low, c)),
        (["minus_di_14"], lambda: ta.MINUS_DI(h, low, c)),
        (["adxr_14"], lambda: ta.ADXR(h, low, c)),
        (["aroon_up_25", "aroon_down_25"], lambda: ta.AROON(h, low, 25)),
        (["aroon_oscillator_25"], lambda: ta.AROONOSC(h, low, 25)),
        (["linear_slope_48"], lambda: ta.LINEARREG_SLOPE(c, 48)),
        (["forecast_14_distance"], lambda: ta.TSF(c, 14)),
        (["trix_15"], lambda: ta.TRIX(c, 15)),
        (["dema_21_distance"], lambda: ta.DEMA(c, 21)),
        (["tema_21_distance"], lambda: ta.TEMA(c, 21)),
        (["t3_5_distance"], lambda: ta.T3(c, 5)),
        (["wma_20_distance"], lambda: ta.WMA(c, 20)),
        (["trima_20_distance"], lambda: ta.TRIMA(c, 20)),
        (["kama_10_distance"], lambda: ta.KAMA(c, 10)),
        (["stoch_k_14", "stoch_d_14"], lambda: ta.STOCH(h, low, c, 14, 3, 0, 3, 0)),
        (["stoch_rsi_14"], lambda: ta.STOCHRSI(c, 14, 14, 3, 0)),
        (["williams_r_28"], lambda: ta.WILLR(h, low, c, 28)),
        (["cci_20"], lambda: ta.CCI(h, low, c, 20)),
        (["ultimate_oscillator"], lambda: ta.ULTOSC(h, low, c)),
        (["body_share"], lambda: ta.BOP(o, h, low, c)),
        (["mfi_14"], lambda: ta.MFI(h, low, c, v, 14)),
        (["chaikin_oscillator_3_10"], lambda: ta.ADOSC(h, low, c, v)),
        (["natr_14"], lambda: ta.NATR(h, low, c, 14)),
        (["bollinger_percent_b_20", "bollinger_width_20"], lambda: ta.BBANDS(c, 20, 2, 2)),
        *patterns,
    ]


def _by_pandas_ta(bars: pl.DataFrame) -> Calls | None:
    """Our columns and pandas-ta-classic's own calculation (not TA-Lib's), where it is installed."""
    try:
        import pandas_ta_classic as ta
    except ImportError:
        return None
    frame = bars.select("ts", "open", "high", "low", "close", "volume").to_pandas().set_index("ts")
    h, low, c, v = (frame[name] for name in ("high", "low", "close", "volume"))
    own = {"talib": False}
    return [
        *(([f"ema_{n}_distance"], lambda n=n: ta.ema(c, n, **own)) for n in (9, 21, 50, 200)),
        *(([f"roc_{n}"], lambda n=n: ta.roc(c, bars_of(n, M15), **own)) for n in (1, 4, 16, Span("12h"), DAY, WEEK)),
        *(([f"sma_{n}_distance"], lambda n=n: ta.sma(c, bars_of(n, M15), **own)) for n in (DAY, WEEK)),
        *(([f"rsi_{n}"], lambda n=n: ta.rsi(c, n, **own)) for n in (14, 28)),
        (["macd", "macd_signal", "macd_hist"], lambda: ta.macd(c, **own)),
        (["adx_14", "plus_di_14", "minus_di_14"], lambda: ta.adx(h, low, c, **own)),
        (["aroon_up_25", "aroon_down_25", "aroon_oscillator_25"], lambda: ta.aroon(h, low, 25, **own)),
        (["dema_21_distance"], lambda: ta.dema(c, 21, **own)),
        (["tema_21_distance"], lambda: ta.tema(c, 21, **own)),
        (["wma_20_distance"], lambda: ta.wma(c, 20, **own)),
        (["trix_15"], lambda: ta.trix(c, 15)),
        (["stoch_k_14", "stoch_d_14"], lambda: ta.stoch(h, low, c, 14, 3, 3)),
        (["williams_r_28"], lambda: ta.willr(h, low, c, 28, **own)),
        (["cci_20"], lambda: ta.cci(h, low, c, 20, **own)),
        (["ultimate_oscillator"], lambda: ta.uo(h, low, c, **own)),
        (["mfi_14"], lambda: ta.mfi(h, low, c, v, 14, **own)),
        (["natr_14"], lambda: ta.natr(h, low, c, 14, **own)),
        (["bollinger_percent_b_20", "bollinger_width_20"], lambda: ta.bbands(c, 20, 2, **own)),
        (["donchian_position_20", "donchian_width_20"], lambda: ta.donchian(h, low, 20, 20)),
        (["cmf_20"], lambda: ta.cmf(h, low, c, v, length=20)),
        (["tsi_25_13"], lambda: ta.tsi(c, 13, 25)),
        (["efficiency_ratio_20"], lambda: ta.er(c, 20)),
    ]


if __name__ == "__main__":
    main(run, __doc__, title="Features")
