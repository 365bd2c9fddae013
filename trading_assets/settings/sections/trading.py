"""What a trade costs, how large it is and what limits it: for backtest and node alike; and the simulated venue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from trading_assets.core.candles import Market
from trading_assets.settings.sections.fee_schedules import SCHEDULES, FeeProduct, Rates
from trading_assets.settings.sections.protections import ProtectionSettings
from trading_assets.settings.sections.section import Fraction, Misfit, Positive, Section
from trading_assets.settings.sections.sizing import AnySizing, EquityShareSettings
from trading_assets.settings.sections.slippage import AnySlippage, FixedSlippageSettings, MeasuredSlippageSettings


class FeeSettings(Section):
    """What a venue takes of an order's notional: by its schedule's tier, or the account's own two rates."""

    tier: str = Field("", description="Of the venue's published schedule. Empty: the two rates.")
    maker_bps: float | None = Field(None, ge=0, description="Of an order that rests.")
    taker_bps: float | None = Field(None, ge=0, description="Of an order at the market.")
    paid_in: Literal["quote", "base"] = Field(
        "quote", description="The currency that fees are taken in. Fees in the base currency are not computed yet."
    )

    @model_validator(mode="after")
    def _one_way_of_saying_it(self) -> Self:
        if self.paid_in == "base":
            raise Misfit(
                "fees in the base currency are not computed yet, they change what is held; write `paid_in: quote`: "
                "it costs the same at the price of the fill",
                "paid_in",
            )
        given = [rate is not None for rate in (self.maker_bps, self.taker_bps)]
        if self.tier and any(given):
            raise Misfit("a tier and rates are given; keep one of them", "tier")
        if not self.tier and not all(given):
            raise Misfit("name a tier, or give maker_bps and taker_bps", "tier")
        return self

    def rates(self, exchange: str, product: FeeProduct) -> Rates:
        """Its two rates, or its tier's on an exchange."""
        if self.maker_bps is None or self.taker_bps is None:
            return SCHEDULES[exchange, product][self.tier]
        return Rates(self.maker_bps, self.taker_bps)

    def times(self, exchange: str, product: FeeProduct, multiple: float) -> FeeSettings:
        """So many times these rates."""
        maker, taker = self.rates(exchange, product)
        return FeeSettings(maker_bps=multiple * maker, taker_bps=multiple * taker)


class VenueFees(Section):
    """An exchange's fees, by the kind of market."""

    spot: FeeSettings | None = Field(None, description="Empty: the two rates of `trading.costs`.")
    derivatives: FeeSettings | None = Field(None, description="Perpetuals and dated futures; likewise.")

    def told(self) -> dict[FeeProduct, FeeSettings]:
        """Those that are given."""
        found: dict[FeeProduct, FeeSettings | None] = {"spot": self.spot, "derivatives": self.derivatives}
        return {product: fee for product, fee in found.items() if fee is not None}


class CostSettings(Section):
    """What a trade costs: read by labels, by the decision to enter, by the backtest and by the node's sandbox."""

    maker_fee_bps: float = Field(2.0, ge=0, description="Of a target that rests.")
    taker_fee_bps: float = Field(5.0, ge=0, description="Of entries, stops and exits at the market.")
    slippage_bps: float = Field(1.0, ge=0, description="Lost by each order at the market, charged with its fee.")
    slippage_probability: Fraction = Field(0.5, description="Chance that an order slips by one tick besides.")
    slippage: AnySlippage = Field(
        FixedSlippageSettings(),
        description="What an order at the market loses in a backtest, by `kind`; the sandbox charges `slippage_bps`.",
        exclude_if=lambda value: value == FixedSlippageSettings(),
    )
    assumed_funding_bps: float = Field(
        1.0,
        ge=0,
        description="Charged to either side of a perpetual every 8 hours of which no payment is stored. 1 is the "
        "interest of the usual formula, at which rates stand where futures are as dear as the spot market; synthetic "
        "markets are charged nothing.",
        exclude_if=lambda value: value == 1.0,
    )

    fees: dict[str, VenueFees] = Field(
        {},
        description="Exchange -> its fees; of markets that are not named, the two rates above.",
        exclude_if=lambda value: not value,
    )

    @model_validator(mode="after")
    def _tiers_are_known(self) -> Self:
        for exchange, own in self.fees.items():
            for product, fee in own.told().items():
                known = SCHEDULES.get((exchange, product), {})
                if fee.tier and fee.tier not in known:
                    has = f"known: {', '.join(known)}" if known else "no schedule of it is known"
                    raise Misfit(
                        f"no tier {fee.tier!r} of {exchange} {product}; {has}; or give maker_bps and taker_bps",
                        *("fees", exchange, product, "tier"),
                    )
        return self

    def rates(self, market: str) -> Rates:
        """What the market's venue takes of an order, without slippage."""
        parsed = Market.parse(market)
        product: FeeProduct = "derivatives" if parsed.is_derivative else "spot"
        fee = self.fees[parsed.exchange].told().get(product) if parsed.exchange in self.fees else None
        if fee is None:
            return Rates(self.maker_fee_bps, self.taker_fee_bps)
        return fee.rates(parsed.exchange, product)

    def of_markets(self, markets: Iterable[str]) -> Self:
        """The same with the dearest rates of some markets for all of them: what entries are decided with."""
        found = [self.rates(market) for market in markets] if self.fees else []
        if not found:
            return self
        maker, taker = (max(rates) for rates in zip(*found, strict=True))
        return self.model_copy(update={"maker_fee_bps": maker, "taker_fee_bps": taker, "fees": {}})

    def dearer(self, multiple: float) -> Self:
        """The same with fees and slippage in basis points times so much."""
        fees = {
            exchange: VenueFees(**{one: fee.times(exchange, one, multiple) for one, fee in own.told().items()})
            for exchange, own in self.fees.items()
        }
        names = ("maker_fee_bps", "taker_fee_bps", "slippage_bps")
        dear: dict[str, Any] = {name: multiple * getattr(self, name) for name in names} | {"fees": fees}
        if isinstance(self.slippage, MeasuredSlippageSettings):
            dear["slippage"] = self.slippage.model_copy(update={"scale": multiple * self.slippage.scale})
        return self.model_copy(update=dear)

    @property
    def market_order_bps(self) -> float:
        """Fee and slippage of one order at the market."""
        return self.taker_fee_bps + self.slippage_bps

    @property
    def round_trip_bps(self) -> float:
        """In and out at the market: the dearer way, as beforehand nobody knows that the target will be reached."""
        return 2 * self.market_order_bps


class RiskSettings(Section):
    """Limits that are checked before every order."""

    max_position_notional: Positive = Field(
        20_000.0, description="Notional of one market's position, in quote currency: an entry is cut to it."
    )
    min_position_notional: float = Field(
        0.0,
        ge=0,
        description="An entry below is refused: what a venue asks for at least, where a backtest does not know it, or "
        "what is worth a trade.",
    )
    max_market_leverage: Positive | None = Field(
        None, description="Notional of one market's position, as a multiple of equity: an entry is cut to it."
    )
    max_leverage: Positive | None = Field(
        None,
        description="Notional of all positions, long and short added up, as a multiple of equity. Like the next ones "
        "it cuts an entry down to half of what was wanted, and refuses it below.",
    )
    max_total_notional: Positive | None = Field(
        None, description="Notional of all positions, long and short added up, in quote currency."
    )
    max_correlated_leverage: Positive | None = Field(
        None,
        description="Notional of positions that bet on the same move, as a multiple of equity: on the same side of "
        "markets of one cluster, on opposite sides where these move against each other.",
    )
    correlated_from: float = Field(
        0.7, gt=0, le=1, description="Markets are a cluster from this mean correlation of their returns on."
    )
    correlation_days: float = Field(
        30.0, ge=2, le=365, description="Over so many days before the present one: hourly returns, or a longer bar's."
    )
    max_daily_loss: Positive = Field(
        2_000.0, description="Realised after fees in a UTC day, in quote currency: nothing is entered from then on."
    )
    max_orders_per_minute: int | None = Field(
        None, ge=1, description="Empty: 10, and a round trip's 3 more for each further market."
    )

    @model_validator(mode="after")
    def _something_is_admitted(self) -> Self:
        if self.min_position_notional > self.max_position_notional:
            raise Misfit(
                f"min_position_notional {self.min_position_notional:g} is above max_position_notional "
                f"{self.max_position_notional:g}: nothing is ever entered; lower it, or raise the other",
                "min_position_notional",
            )
        return self


class TradingSettings(Section):
    """How signals are traded: by the backtest and by the node alike."""

    sizing: AnySizing = Field(EquityShareSettings(), description="How large a position is, by `kind`.")
    costs: CostSettings = CostSettings()
    risk: RiskSettings = RiskSettings()
    protections: ProtectionSettings = Field(
        ProtectionSettings(), exclude_if=lambda value: value == ProtectionSettings()
    )


class SimulationSettings(Section):
    """Capital and fills of the backtest's simulated venue; costs and sizes are those of `trading`."""

    moved: ClassVar[Mapping[str, str]] = {
        name: f"`trading.{part}.{name}`"
        for part, section in (("costs", CostSettings), ("sizing", EquityShareSettings))
        for name in section.model_fields
        if name != "kind"
    }

    starting_balance: Positive = 100_000.0
    target_fill: Literal["touch", "through"] = Field(
        "touch", description="A target fills where the price touches it, or only where it goes through it by a tick."
    )
    latency_ms: Positive = 100.0
    stress: Literal["quick", "full"] = Field(
        "quick",
        description="How dearer costs and late orders are measured: by charging the trades more, or by five backtests "
        "more.",
        exclude_if=lambda value: value == "quick",
    )
    seed: int = 7


class BacktestSettings(CostSettings, SimulationSettings):
    """All that a backtest is run with: the section `backtest`, and the costs and sizes of `trading`."""

    moved: ClassVar[Mapping[str, str]] = {}

    sizing: AnySizing = EquityShareSettings()
    protections: ProtectionSettings = Field(
        ProtectionSettings(), exclude_if=lambda value: value == ProtectionSettings()
    )

    @property
    def max_volume_share(self) -> float | None:
        """Of what its bar traded, what an entry is at most; None where volume is not looked at."""
        return self.sizing.max_volume_share

    def sized(self, **changes: Any) -> Self:
        """The same with other parameters of its sizing."""
        return self.model_copy(update={"sizing": self.sizing.model_copy(update=changes)})

    @classmethod
    def of(cls, simulation: SimulationSettings, trading: TradingSettings) -> Self:
        """Of the two sections."""
        return cls(
            **simulation.model_dump(),
            **trading.costs.model_dump(),
            sizing=trading.sizing,
            protections=trading.protections,
        )

    def stressed(self) -> Self:
        """The same with fills as a sceptic sees them: targets one tick through, every order slips, twice as far."""
        worse = {"target_fill": "through", "slippage_probability": 1.0, "slippage_bps": 2 * self.slippage_bps}
        return self.model_copy(update=worse)
