"""The pictures of the docs by one command: ``python -m deploy.grafana.dashboards.replayed docs/images``.

After ``make demo``: two days are replayed to a real node, which the exporter and Prometheus watch with the rules of
``deploy/prometheus``; then the node is killed, which somebody is told of. All of it works on a copy of the data
folder, on free ports, and is gone at the end.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

import typer
import yaml

from deploy.grafana.dashboards.alerted import draw_alert
from deploy.grafana.dashboards.pictures import draw_all
from trading_assets.core.errors import TradingError
from trading_assets.monitoring import stored, versions
from trading_assets.registry.deployment import read_manifest
from trading_assets.settings import PROJECT_ROOT, Settings, load_settings
from trading_assets.settings.dagster_home import dagster_environment, within
from trading_assets.store import configured_store
from trading_assets.store.tables import DRIFT
from trading_cli.rehearsal import rehearsed, stop
from trading_live.operations.interrupts import ends_quietly
from trading_live.operations.kill_switch import require_off

RULES: Final = PROJECT_ROOT / "deploy" / "prometheus"
_UNPACKED: Final = PROJECT_ROOT / ".tools" / "debian" / "usr" / "bin"  # by the set-up
_REPLAYED: Final = timedelta(days=2)
_SECONDS: Final = 240.0
_SCRAPE: Final = {"trading-node": "1s", "trading-metrics": "5s"}
"""Each job's interval: two days pass in minutes."""
_PAGE_S: Final = 20
"""Between two pages of the exporter, which takes the processor that the node needs, too."""
_START_S: Final = 180.0
_LAST_S: Final = 16.0
"""From the end of the replay until Prometheus has scraped it and its rules have been asked once more."""


def main(folder: str = "docs/images") -> None:
    """Replay, watch, draw, and leave nothing behind but the pictures."""
    prometheus = _program()
    settings = load_settings()
    manifest = read_manifest(settings.live_dir)
    if not manifest.models:
        raise TradingError("no model trades here", where=str(settings.live_dir), remedy="run make demo")
    require_off(settings.live_dir)
    with ends_quietly(), ExitStack() as open_:
        place = Path(open_.enter_context(tempfile.TemporaryDirectory(prefix="trading-pictures-")))
        typer.echo(f"copying {settings.data_dir} to {place}")
        settings = open_.enter_context(_copied(settings, place / "data"))
        typer.echo("comparing the models' rows with those of their training")
        _measure_drift(settings, sorted(manifest.models))
        node, page, asked = _free_ports(3)
        address = f"http://127.0.0.1:{asked}"
        config = place / "prometheus.yml"
        config.write_text(yaml.safe_dump(configured({"trading-node": node, "trading-metrics": page})))
        options = (f"--config.file={config}", f"--storage.tsdb.path={place / 'prometheus'}")
        exporter = (sys.executable, "-m", "trading_cli", "metrics", "--serve", f"--port={page}", f"--every={_PAGE_S}")
        open_.enter_context(_running(exporter, place / "exporter.txt", f"http://127.0.0.1:{page}/metrics"))
        watch = (prometheus, *options, f"--web.listen-address=127.0.0.1:{asked}", "--log.level=warn")
        open_.enter_context(_running(watch, place / "prometheus.txt", f"{address}/-/ready"))
        typer.echo(f"Prometheus on {address}; {_REPLAYED.days} days are replayed in {_SECONDS / 60:.0f} minutes")
        start = time.time()
        markets = sorted(settings.markets_of(sorted(manifest.models)))
        variables = {"TRADING_NODE__METRICS_PORT": str(node)}
        output = place / "node.txt"
        with rehearsed(settings, markets, days=_REPLAYED, seconds=_SECONDS, output=output, variables=variables) as (
            _,
            process,
        ):
            time.sleep(_LAST_S)
            draw_all(address, start, time.time(), Path(folder))
            draw_alert(process, Path(folder) / "alert.png")


def configured(ports: dict[str, int]) -> dict[str, object]:
    """The project's own configuration of Prometheus, with the rules where they are and the jobs at other ports."""
    config = yaml.safe_load((RULES / "prometheus.yml").read_text())
    del config["alerting"]
    config["rule_files"] = [str(RULES / name) for name in config["rule_files"]]
    for job in config["scrape_configs"]:
        job["scrape_interval"] = job["scrape_timeout"] = _SCRAPE[job["job_name"]]
        job["static_configs"][0]["targets"] = [f"127.0.0.1:{ports[job['job_name']]}"]
    return dict(config)


def _program() -> str:
    found = shutil.which("prometheus") or shutil.which("prometheus", path=_UNPACKED)
    if found is None:
        raise TradingError(
            "no prometheus on the PATH", remedy=f"apt install prometheus, or .ci/promtool puts it into {_UNPACKED}"
        )
    return found


@contextmanager
def _copied(settings: Settings, data_dir: Path) -> Iterator[Settings]:
    """The settings of a copy of the data folder whose node has not run yet."""
    left = shutil.ignore_patterns("journal.*", "node.*", "*.lock", "logs")
    shutil.copytree(settings.data_dir, data_dir, ignore=left)
    (data_dir / "logs").mkdir()
    with within({"TRADING_DATA_DIR": str(data_dir)}):
        copied = load_settings()
        with within(dagster_environment(copied)):
            yield copied


def _measure_drift(settings: Settings, models: Sequence[str]) -> None:
    """What the asset `drift` stores."""
    store = configured_store(settings)
    for model in models:
        if (chosen := versions.watched(store, settings, model)) is not None:
            found = stored.measure(store, settings, *chosen)
            store.replace(DRIFT, found, where={"model": model, "version": chosen[1]})


def _free_ports(count: int) -> list[int]:
    with ExitStack() as open_:
        taken = [open_.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in taken]


@contextmanager
def _running(command: Sequence[str], output: Path, address: str) -> Iterator[None]:
    """A process, from its first answer on until the end of the block."""
    with output.open("w") as printed:
        process = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=printed, stderr=printed)
    try:
        deadline = time.monotonic() + _START_S
        while not _answers(address):
            if process.poll() is not None or time.monotonic() > deadline:
                said = output.read_text(errors="replace")[-2000:]
                raise TradingError(f"{Path(command[0]).name} does not answer: {said}", where=address)
            time.sleep(0.5)
        yield
    finally:
        stop(process)


def _answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=5) as answer:
            return bool(answer.read())
    except (URLError, OSError):
        return False


if __name__ == "__main__":
    try:
        typer.run(main)
    except TradingError as error:
        raise SystemExit(str(error)) from None
