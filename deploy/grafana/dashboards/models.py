"""The dashboard of models: in use, beside them, drift, coverage."""

from __future__ import annotations

from deploy.grafana.dashboards.board import Board, Row, lines, number

_ENTERED = '{instance=~"$instance", action="enter"}'
_ALL = '{instance=~"$instance"}'

MODELS = Board(
    "models",
    "Models",
    "Versions in use and beside them, their decisions, drift and coverage.",
    (
        Row(
            "Now",
            (
                number("In use", 'sum(trading_models{instance=~"$instance", state="in_use"})'),
                number("Refused", 'sum(trading_models{instance=~"$instance", state="refused"})', limit=1),
                number("Challengers", 'sum(trading_models{instance=~"$instance", state="challenger"})'),
                number("Drift alarms", f"sum(trading_drift_alarms{_ALL}) or vector(0)", limit=1),
            ),
        ),
        Row(
            "Versions",
            (
                lines("In use", (f"trading_model_info{_ALL}", "{{model}} v{{version}} {{role}}")),
                lines("By state in the node", (f"trading_models{_ALL}", "{{state}}")),
                lines("In the registry", (f"trading_registry_versions{_ALL}", "{{model}} {{status}}")),
                lines(
                    "Probability that a challenger is better",
                    (f"trading_challenger_better_ratio{_ALL}", "{{model}} v{{version}}"),
                    unit="percentunit",
                ),
            ),
        ),
        Row(
            "What they say",
            (
                lines(
                    "Decisions an hour",
                    (f"sum by (model, action) (increase(trading_decisions_total{_ALL}[1h]))", "{{model}} {{action}}"),
                ),
                lines(
                    "Wanted entries",
                    (
                        f"sum by (model) (increase(trading_decisions_total{_ENTERED}[1h]))"
                        f" / sum by (model) (increase(trading_decisions_total{_ALL}[1h]))",
                        "{{model}}",
                    ),
                    unit="percentunit",
                ),
            ),
        ),
        Row(
            "Drift and coverage",
            (
                lines(
                    "Subjects that drift", (f"trading_drift_alarms{_ALL}", "{{model}} v{{version}} {{kind}} {{source}}")
                ),
                lines(
                    "Largest distance over its threshold",
                    (f"trading_drift_threshold_ratio{_ALL}", "{{model}} v{{version}} {{kind}} {{source}}"),
                ),
                lines(
                    "Coverage of prediction sets",
                    (f"trading_conformal_coverage_ratio{_ALL}", "{{model}} v{{version}}"),
                    (f"trading_conformal_target_ratio{_ALL}", "{{model}} promised"),
                    unit="percentunit",
                ),
                lines("Sets with an outcome", (f"trading_conformal_rows{_ALL}", "{{model}} v{{version}}")),
            ),
        ),
    ),
)
