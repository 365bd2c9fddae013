"""Features of what is stored beside candles: funding, sentiment, order books, public trades; null where it is not."""

from __future__ import annotations

from trading_assets.features.framework.bars import Bars
from trading_assets.features.framework.registry import feature
from trading_assets.features.framework.spans import DAY
from trading_assets.features.framework.windows import Array, rolling_mean, shift


@feature(
    "funding_rate",
    inputs=["funding.rate"],
    lookback=1,
    unit="fraction of the notional",
    source="last settled funding rate",
)
def funding_rate(frame: Bars) -> Array:
    """The last settled funding rate: what longs paid shorts."""
    return frame.companion("funding.rate")


@feature(
    "funding_change_{bars}",
    inputs=["funding.rate"],
    each=[{"bars": DAY}],
    minimum=1,
    lookback=lambda bars: bars + 1,
    unit="fraction of the notional",
    source="change of the funding rate",
)
def funding_change(frame: Bars, bars: int) -> Array:
    """The last settled funding rate minus the one known a day ago."""
    return frame.companion("funding.rate") - shift(frame.companion("funding.rate"), bars)


@feature(
    "sentiment",
    inputs=["sentiment.score"],
    lookback=1,
    unit="-1 fear to 1 greed",
    low=-1,
    high=1,
    source="newest published score",
)
def sentiment(frame: Bars) -> Array:
    """The newest published sentiment score."""
    return frame.companion("sentiment.score")


@feature(
    "sentiment_change_{bars}",
    inputs=["sentiment.score"],
    each=[{"bars": DAY}],
    minimum=1,
    lookback=lambda bars: bars + 1,
    unit="points of the score",
    low=-2,
    high=2,
    source="change of the published score",
)
def sentiment_change(frame: Bars, bars: int) -> Array:
    """The newest score minus the one known a day ago."""
    return frame.companion("sentiment.score") - shift(frame.companion("sentiment.score"), bars)


@feature(
    "spread_bps",
    inputs=["book.spread_bps"],
    lookback=1,
    unit="basis points of the middle",
    low=0,
    source="best ask minus best bid, mean over the bar",
)
def spread(frame: Bars) -> Array:
    """The mean spread of the bar's recorded books."""
    return frame.companion("book.spread_bps")


@feature(
    "depth_imbalance",
    inputs=["book.depth_imbalance"],
    lookback=1,
    unit="share of the depth",
    low=-1,
    high=1,
    source="Cao, Hansch & Wang (2009), recorded levels",
)
def depth_imbalance(frame: Bars) -> Array:
    """Bid minus ask depth over both, in the bar's last recorded book."""
    return frame.companion("book.depth_imbalance")


@feature(
    "order_flow_imbalance",
    inputs=["book.order_flow_imbalance"],
    lookback=1,
    unit="share of the flow",
    low=-1,
    high=1,
    source="Cont, Kukanov & Stoikov (2014), over the flow's size",
)
def order_flow_imbalance(frame: Bars) -> Array:
    """Flow of orders to the bid minus to the ask over all flow, between the bar's recorded books."""
    return frame.companion("book.order_flow_imbalance")


@feature(
    "spread_bps_mean_{bars}",
    inputs=["book.spread_bps"],
    each=[{"bars": 16}],
    lookback=lambda bars: bars,
    unit="basis points of the middle",
    low=0,
    indicator="spread",
    source="mean over the bars",
)
def usual_spread(frame: Bars, bars: int) -> Array:
    """The mean spread of the last bars."""
    return rolling_mean(frame.companion("book.spread_bps"), bars)


@feature(
    "trade_sign_imbalance",
    inputs=["trades.sign_imbalance"],
    lookback=1,
    unit="share of the trades",
    low=-1,
    high=1,
    source="Chordia, Roll & Subrahmanyam (2002), number of trades",
)
def trade_sign_imbalance(frame: Bars) -> Array:
    """Number of trades by buyers minus by sellers over all, within the bar."""
    return frame.companion("trades.sign_imbalance")


@feature(
    "trade_volume_imbalance",
    inputs=["trades.volume_imbalance"],
    lookback=1,
    unit="share of the volume",
    low=-1,
    high=1,
    source="Chordia, Roll & Subrahmanyam (2002), traded quantity",
)
def trade_volume_imbalance(frame: Bars) -> Array:
    """Quantity bought minus sold by aggressors over all, within the bar."""
    return frame.companion("trades.volume_imbalance")
