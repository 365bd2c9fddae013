"""The dashboard of the process: its pulse, bars, latencies, queues, journal and machine."""

from __future__ import annotations

from deploy.grafana.dashboards.board import Board, Row, lines, number

_NODE = '{instance=~"$instance"}'
_MARKET = '{instance=~"$instance", market=~"$market"}'

NODE = Board(
    "node",
    "Node",
    "Pulse, bars, latencies and queues of a node.",
    (
        Row(
            "Now",
            (
                number("Heartbeat", f"trading_node_heartbeat_age_seconds{_NODE}", unit="s", limit=15),
                number("Up since", f"trading_node_started_timestamp_seconds{_NODE} * 1000", unit="dateTimeFromNow"),
                number("Kill switch", f"trading_node_kill_switch{_NODE}", limit=1, words={"0": "off", "1": "on"}),
                number("Halted", f"trading_node_halted{_NODE}", limit=1, words={"0": "no", "1": "yes"}),
                number("Journal", f"trading_journal_trouble{_NODE}", limit=1, words={"0": "written", "1": "trouble"}),
                number("Models in use", 'trading_models{instance=~"$instance", state="in_use"}'),
            ),
        ),
        Row(
            "Latency",
            (
                lines(
                    "Median by stage",
                    (f"instance_stage:trading_latency_seconds:p50_5m{_NODE}", "{{stage}}"),
                    unit="s",
                    text="Bar to order is promised within 10 ms.",
                ),
                lines(
                    "One of a hundred by stage",
                    (f"instance_stage:trading_latency_seconds:p99_5m{_NODE}", "{{stage}}"),
                    unit="s",
                    text="Bar to order is promised within 50 ms.",
                ),
            ),
        ),
        Row(
            "Bars",
            (
                lines("State", (f"trading_node_state{_NODE} == 1", "{{state}}")),
                lines(
                    "Bars a minute", (f"sum by (timeframe) (rate(trading_bars_total{_NODE}[5m])) * 60", "{{timeframe}}")
                ),
                lines("Age of the newest bar", (f"trading_bar_age_seconds{_MARKET}", "{{market}}"), unit="s"),
                lines("Not trusted", (f"trading_market_untrusted{_MARKET}", "{{market}}: {{kind}}")),
                lines(
                    "Missing bars an hour",
                    (f"increase(trading_bars_missed_total{_NODE}[1h])", "missed"),
                    (f"increase(trading_bars_recovered_total{_NODE}[1h])", "recovered"),
                ),
                lines(
                    "Connections",
                    (f"trading_node_connections{_NODE}", "{{state}}"),
                    (f"instance:trading_node_reconnects:increase10m{_NODE}", "reconnects in ten minutes"),
                ),
                lines("Nothing decided", (f"trading_market_waiting{_MARKET}", "{{market}}")),
                lines(
                    "Age of the newest decision",
                    (f"trading_decision_age_seconds{_NODE}", "age"),
                    (f"trading_decision_limit_seconds{_NODE}", "limit"),
                    unit="s",
                ),
            ),
        ),
        Row(
            "Queues and journal",
            (
                lines("Queues", (f"trading_node_queue_length{_NODE}", "{{queue}}")),
                lines("Queues of the engine", (f"trading_node_engine_queue_length{_NODE}", "{{queue}}")),
                lines("Journal", (f"trading_journal_size_bytes{_NODE}", "size"), unit="bytes"),
                lines("Events in memory only", (f"trading_journal_waiting_events{_NODE}", "events")),
                lines(
                    "What the node has told since its start",
                    (f"sum by (event) (trading_node_events_total{_NODE})", "{{event}}"),
                    text="Most is told once: an increase would not show it.",
                ),
                lines("Exceptions caught", (f"trading_node_errors_total{_NODE}", "exceptions")),
            ),
        ),
        Row(
            "Machine",
            (
                lines("Memory", (f"process_resident_memory_bytes{_NODE}", "{{job}}"), unit="bytes"),
                lines("Processor", (f"rate(process_cpu_seconds_total{_NODE}[5m])", "{{job}}"), unit="percentunit"),
                lines("Open files", (f"process_open_fds{_NODE}", "{{job}}")),
                lines(
                    "Disk of the journal",
                    (f"trading_node_disk_free_bytes{_NODE}", "free"),
                    (f"trading_node_disk_min_free_bytes{_NODE}", "least"),
                    unit="bytes",
                ),
                lines("Clock", (f"trading_node_clock_skew_seconds{_NODE}", "bars end after they come"), unit="s"),
            ),
        ),
    ),
)
