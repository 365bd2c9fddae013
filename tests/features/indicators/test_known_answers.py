"""What TA-Lib does not define, against the published formula written out for one bar."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, timedelta

import numpy as np
import pytest

from trading_assets.core.timeframes import Timeframe
from trading_assets.features import compute

M15 = Timeframe.parse("15m")

DAY = 96


class Past:
    """All bars up to one, the newest last."""

    def __init__(self, bars, row):
        part = bars[: row + 1]
        self.ts = part["ts"].to_list()
        self.o, self.h, self.l, self.c, self.v = (part[name].to_numpy() for name in part.columns[3:8])
        self.r = np.diff(np.log(self.c))
        self.value = (self.h + self.l + self.c) / 3 * self.v
        before = self.c[:-1]
        self.true_range = np.maximum(self.h[1:], before) - np.minimum(self.l[1:], before)

    def middle(self, bars, ago=0):
        end = len(self.h) - ago
        return (self.h[end - bars : end].max() + self.l[end - bars : end].min()) / 2


def smooth(values, alpha):
    """The textbook's recursion from the first value on; one value per bar."""
    means = [values[0]]
    for value in values[1:]:
        means.append(means[-1] + alpha * (value - means[-1]))
    return np.array(means)


def corwin_schultz(p):
    spreads = []
    for i in range(len(p.h) - DAY, len(p.h)):
        beta = math.log(p.h[i - 1] / p.l[i - 1]) ** 2 + math.log(p.h[i] / p.l[i]) ** 2
        gamma = math.log(max(p.h[i - 1 : i + 1]) / min(p.l[i - 1 : i + 1])) ** 2
        k = 3 - 2 * math.sqrt(2)
        alpha = (math.sqrt(2 * beta) - math.sqrt(beta)) / k - math.sqrt(gamma / k)
        spreads.append(max(2 * (math.exp(alpha) - 1) / (1 + math.exp(alpha)), 0))
    return np.mean(spreads)


def roll(p):
    covariance = np.cov(p.r[-DAY:], p.r[-DAY - 1 : -1], ddof=0)[0, 1]
    return 2 * math.sqrt(max(-covariance, 0))


def abdi_ranaldo(p):
    middle, close = (np.log(p.h) + np.log(p.l)) / 2, np.log(p.c)
    terms = [
        4 * (close[i] - middle[i]) * (close[i] - middle[i + 1]) for i in range(len(close) - DAY - 1, len(close) - 1)
    ]
    return math.sqrt(max(np.mean(terms), 0))


def kyle(p):
    signed = np.sign(p.r[-DAY:]) * p.value[-DAY:]
    return signed @ p.r[-DAY:] / (signed @ signed) * p.value[-DAY:].mean()


def amihud(p):
    terms = [abs(r) / value if value else 0 for r, value in zip(p.r[-DAY:], p.value[-DAY:], strict=True)]
    return np.mean(terms) * p.value[-DAY:].mean()


def variance_ratio(p):
    long = np.log(p.c[-192:] / p.c[-196:-4])
    return long @ long / (4 * (p.r[-192:] @ p.r[-192:]))


def hurst(p):
    scales = (1, 4, 16, 64)
    log_price = np.log(p.c)
    spreads = [np.mean((log_price[-672:] - log_price[-672 - s : -s]) ** 2) for s in scales]
    return np.polyfit(np.log(scales), np.log(spreads) / 2, 1)[0]


def fractional(p):
    weights = [1.0]
    for k in range(1, 64):
        weights.append(-weights[-1] * (0.4 - k + 1) / k)
    return np.dot(weights, np.log(p.c[-64:][::-1] / p.c[-65]))


def money_flow(p):
    flow = [
        v * ((c - l) - (h - c)) / (h - l) if h > l else 0
        for h, l, c, v in zip(p.h[-20:], p.l[-20:], p.c[-20:], p.v[-20:], strict=True)  # noqa: E741
    ]
    return sum(flow) / sum(p.v[-20:])


def strength(p):
    change = np.diff(p.c)
    twice = [smooth(smooth(series, 2 / 26), 2 / 14)[-1] for series in (change, np.abs(change))]
    return 100 * twice[0] / twice[1]


def entropy(p):
    orders = Counter(tuple(np.argsort(-p.c[i - 2 : i + 1], kind="stable")) for i in range(len(p.c) - DAY, len(p.c)))
    shares = [count / DAY for count in orders.values()]
    return -sum(share * math.log(share) for share in shares) / math.log(6)


def dickey_fuller(p):
    before, change = np.log(p.c[-97:-1]), p.r[-96:]
    design = np.column_stack([np.ones(96), before - before.mean()])
    fitted, rest, *_ = np.linalg.lstsq(design, change)
    return fitted[1] / math.sqrt(rest[0] / 94 / (design[:, 1] @ design[:, 1]))


def supertrend(p):
    """The bands drawn from 64 bars ago; the direction."""
    reach, middle = 3 * smooth(p.true_range, 1 / 10)[-64:], (p.h[-64:] + p.l[-64:]) / 2
    close = p.c[-64:]
    upper, lower, way = middle[0] + reach[0], middle[0] - reach[0], 1 if close[0] >= middle[0] else -1
    for i in range(1, 64):
        high, low = middle[i] + reach[i], middle[i] - reach[i]
        upper = high if high < upper or close[i - 1] > upper else upper
        lower = low if low > lower or close[i - 1] < lower else lower
        way = 1 if close[i] > upper else -1 if close[i] < lower else way
    return way


def pivot(p):
    yesterday = [i for i, ts in enumerate(p.ts) if ts.date() == p.ts[-1].date() - timedelta(days=1)]
    high, low = p.h[yesterday].max(), p.l[yesterday].min()
    level = (high + low + p.c[yesterday[-1]]) / 3
    return (p.c[-1] - (2 * level - low)) / level


def fibonacci(p):
    """0.618 of the way back from the later to the earlier of the last two swings (5 lower bars on each side)."""
    known = range(len(p.c) - 6, len(p.c) - 6 - 192, -1)
    top = next(i for i in known if p.h[i] == p.h[i - 5 : i + 6].max())
    bottom = next(i for i in known if p.l[i] == p.l[i - 5 : i + 6].min())
    begin, end = (p.l[bottom], p.h[top]) if top >= bottom else (p.h[top], p.l[bottom])
    return 1 - (end + 0.618 * (begin - end)) / p.c[-1]


def hours(p, length):
    """(high, low, close) of the higher bars that are closed when the newest bar is."""
    now, bars = p.ts[-1] + timedelta(minutes=15), {}
    for ts, h, l, c in zip(p.ts, p.h, p.l, p.c, strict=True):  # noqa: E741
        begin = ts.astimezone(UTC).replace(hour=ts.hour // length * length, minute=0)
        high, low, _ = bars.get(begin, (h, l, c))
        bars[begin] = (max(high, h), min(low, l), c)
    return np.array([bar for begin, bar in bars.items() if begin + timedelta(hours=length) <= now])


def higher_strength(p):
    change = np.diff(hours(p, 4)[-15:, 2])
    return 100 * change[change > 0].sum() / np.abs(change).sum()


def higher_position(p):
    bars = hours(p, 1)[-20:]
    return (bars[-1, 2] - bars[:, 1].min()) / (bars[:, 0].max() - bars[:, 1].min())


FORMULAS = {
    "parkinson_1d": lambda p: math.sqrt(np.mean(np.log(p.h / p.l)[-DAY:] ** 2) / (4 * math.log(2))),
    "corwin_schultz_96": corwin_schultz,
    "roll_spread_96": roll,
    "abdi_ranaldo_96": abdi_ranaldo,
    "kyle_lambda_96": kyle,
    "amihud_96": amihud,
    "variance_ratio_4_192": variance_ratio,
    "hurst_672": hurst,
    "fractional_difference_64": fractional,
    "vwap_1d_distance": lambda p: p.c[-1] * p.v[-DAY:].sum() / p.value[-DAY:].sum() - 1,
    "cmf_20": money_flow,
    "keltner_position_21": lambda p: (p.c[-1] - smooth(p.c, 2 / 22)[-1]) / (2 * smooth(p.true_range, 1 / 14)[-1]),
    "tsi_25_13": strength,
    "permutation_entropy_96": entropy,
    "skewness_672": lambda p: np.mean((p.r[-672:] - p.r[-672:].mean()) ** 3) / p.r[-672:].std() ** 3,
    "kurtosis_672": lambda p: np.mean((p.r[-672:] - p.r[-672:].mean()) ** 4) / p.r[-672:].var() ** 2,
    "reversion_t_96": dickey_fuller,
    "ichimoku_cross": lambda p: (p.middle(9) - p.middle(26)) / p.c[-1],
    "ichimoku_cloud_width": lambda p: ((p.middle(9, 25) + p.middle(26, 25)) / 2 - p.middle(52, 25)) / p.c[-1],
    "supertrend_direction_10": supertrend,
    "pivot_r1_distance": pivot,
    "fibonacci_618_distance": fibonacci,
    "h4_rsi_14": higher_strength,
    "h1_position_20": higher_position,
}


@pytest.fixture(scope="module", params=["made up", "recorded"])
def judged(request, bars):
    """Bars and their features."""
    if request.param == "recorded":
        bars = request.getfixturevalue("real_bars")["DOGE-USDT"][:3_000]
    return bars, compute(bars, timeframe=M15)


@pytest.mark.parametrize("name", FORMULAS)
def test_the_value_is_that_of_the_published_formula(judged, name):
    bars, table = judged
    for row in (-1, -38, -511):
        value = FORMULAS[name](Past(bars, bars.height + row))
        assert table[name][row] == pytest.approx(value, rel=1e-8, abs=1e-10), row
