"""`trading models`: the registry with the status of every version."""

from __future__ import annotations

from rich.table import Table

from trading_assets.settings import load_settings
from trading_cli.console import console, synthetic_note

_STYLE = {"active": "bold green", "approved": "green", "draft": "yellow", "archived": "dim"}


def models() -> None:
    """List the registered model versions, newest first, with their status."""
    settings = load_settings()
    from trading_assets.registry import Registry

    versions = Registry(settings).list()
    if not versions:
        console.print("No model is registered yet; run `trading demo` or `trading backfill --models`.")
        return
    table = Table(
        "model", "version", "status", "trained until", "bundle hash", f"folder in {settings.bundles_dir.name}/<model>"
    )
    for version in sorted(versions, key=lambda item: (item.name, -item.version)):
        spec = settings.models.get(version.name)
        table.add_row(
            version.name + synthetic_note(spec.markets if spec else []),
            str(version.version),
            f"[{_STYLE[version.status]}]{version.status}[/]",
            f"{version.train_end:%Y-%m-%d}" if version.train_end else "",
            version.bundle_hash[:12],
            version.bundle_path.name,
        )
    console.print(table)
