"""A board as Grafana's JSON, by its own SDK."""

from __future__ import annotations

from itertools import count
from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.common import TooltipDisplayMode

from deploy.grafana.dashboards.board import Board, Panel, Unit

_WIDTH: Final = 24
_HEIGHT: Final = {"number": 4, "lines": 8}
_UNITS: Final[dict[Unit, str]] = {"currency": "short"}
_SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${source}")
_LETTERS: Final = "ABCDEFGHIJ"


def dashboard_json(board: Board) -> str:
    """What Grafana imports, with the choice of a data source, instances and markets on top."""
    made = (
        dashboard.Dashboard(f"Trading: {board.title}")
        .uid(f"trading-{board.name}")
        .description(board.text)
        .tags(["trading"])
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("utc")
        .readonly()
        .with_variable(dashboard.DatasourceVariable("source").label("Prometheus").type("prometheus"))
        .with_variable(_choice("instance", "label_values(up, instance)"))
    )
    if any("$market" in query.expr for panel in board.panels for query in panel.queries):
        made = made.with_variable(_choice("market", 'label_values({__name__=~"trading_.+"}, market)'))
    ids, top = count(1), 0
    for row in board.rows:
        made = made.with_row(dashboard.Row(row.title).grid_pos(models.GridPos(h=1, w=_WIDTH, x=0, y=top)).id(next(ids)))
        top += 1
        across = 6 if row.panels[0].kind == "number" else 2
        width, height = _WIDTH // min(across, len(row.panels)), _HEIGHT[row.panels[0].kind]
        for number, panel in enumerate(row.panels):
            place = models.GridPos(h=height, w=width, x=number % across * width, y=top + number // across * height)
            made = made.with_panel(_panel(panel).grid_pos(place).id(next(ids)))
        top += -(-len(row.panels) // across) * height
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


def _choice(name: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .query(query)
        .datasource(_SOURCE)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".*")
    )


def _panel(panel: Panel) -> stat.Panel | timeseries.Panel:
    made: stat.Panel | timeseries.Panel
    if panel.kind == "number":
        made = stat.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    else:
        made = timeseries.Panel().tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    made = made.title(panel.title).description(panel.text).datasource(_SOURCE)
    made = made.unit(_UNITS.get(panel.unit, panel.unit)).thresholds(_thresholds(panel.limit))
    if panel.words:
        words = {number: models.ValueMappingResult(text=word) for number, word in panel.words.items()}
        made = made.mappings([models.ValueMap(options=words)])
    for letter, query in zip(_LETTERS, panel.queries, strict=False):
        asked = prometheus.Dataquery().expr(query.expr).ref_id(letter)
        made = made.with_target(asked.legend_format(query.legend) if query.legend else asked)
    return made


def _thresholds(limit: float | None) -> dashboard.ThresholdsConfig:
    steps = [models.Threshold(value=None, color="green")]
    if limit is not None:
        steps.append(models.Threshold(value=limit, color="red"))
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)
