"""Trino: SQL for many users at once, by the protocol that most tools speak."""

from __future__ import annotations

from stack import trino
from stack.component import Component

COMPONENTS = (
    Component(
        name="trino",
        title="Trino",
        group="trino",
        command=trino.command,
        ask=trino.ask,
        address=lambda settings: settings.trino,
        ports=("trino",),
        after=("store", "catalog"),
        prepare=trino.prepare,
        external=("trino_url",),
        start_seconds=180,
    ),
)
