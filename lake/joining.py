"""Tables that join and leave while everything runs. Debezium copies only at its own start, so the stream copies these.

A table that joins is held out of the stream before its first event can come, until the connector captures it; then its
rows are copied. Held tables lie in the state folder: a command that broke off is finished by the next `connect`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from catalog.errors import ComponentError, ConfigurationError, SourceError
from catalog.history import all_tables
from catalog.options import read_options
from catalog.readers import iceberg_catalog
from catalog.settings import Settings
from catalog.source import PUBLISHED_INSIDE, SourceTable, named, namespaces
from catalog.tables.cdc import LEFT_PROPERTY, SOURCE_PROPERTY
from catalog.verification.barrier import pass_barrier, topic_targets
from catalog.verification.coverage import wait_covered

if TYPE_CHECKING:
    from connectors.survey import Relation

Say = Callable[[str], None]
LOCK_WAIT_SECONDS = 120.0
APPLY_SECONDS = 120.0
SILENCE_SECONDS = 60.0
POLL_SECONDS = 0.5
_SERVICE = {f"public.{name}" for name in PUBLISHED_INSIDE}


def connect(settings: Settings) -> tuple[str, list[str]]:
    """Register or update the connector; returns the outcome and the tables that joined one that was there before."""
    from connectors.registration import captured_tables
    from connectors.setup import ensure_connector
    from connectors.source import published_tables
    from streaming.requests import Request, pending, submit, withdraw

    published = {f"{schema}.{name}" for schema, name in published_tables(settings)} - _SERVICE
    if before := captured_tables(settings):
        for table in published - before:
            submit(settings, Request("hold", table))
    outcome = ensure_connector(settings)
    joined = []
    holds = [request for request in pending(settings) if request.kind == "hold"]
    for held in [request for request in holds if request.table in published]:  # others are being published just now
        submit(settings, Request("resync", held.table))
        joined.append(held.table)
        withdraw(settings, held)
    return outcome, sorted(joined)


def join(settings: Settings, relations: list[Relation], say: Say) -> list[str]:
    """Let tables join the running stack; returns those that did. Their copies go on by themselves.

    One that is there and streams only gets its rights and identity, one that stopped is copied anew. One that writers
    do not let go of stays out, and is raised as SourceError when the others have joined.
    """
    from connectors.publication import publish
    from connectors.registration import captured_tables
    from streaming.requests import Request, submit, withdraw

    captured = captured_tables(settings)
    if not captured:
        raise ConfigurationError(f"connector {settings.connector} is not registered", remedy="lake up; lake connect")
    tables = stream_job(settings)["tables"]
    refused: SourceError | None = None
    for relation in relations:
        hold = Request("hold", relation.qualified)
        state = tables.get(relation.qualified, {}).get("state")
        if is_new := not relation.is_published or relation.qualified not in captured or state == "stopped":
            submit(settings, hold)
        elif relation.is_readable and not relation.without_full_identity:
            continue
        say(f"{relation.qualified}: publishing")
        try:
            publish(settings, relation, LOCK_WAIT_SECONDS, say)
        except SourceError as reason:
            refused = reason
            if is_new:
                withdraw(settings, hold)
        else:
            withdraw(settings, Request("drain", relation.qualified))
    say("topics and connector")
    _, joined = connect(settings)
    if refused:
        raise refused
    return joined


def wait_running(settings: Settings, tables: list[str], say: Say) -> dict[str, str]:
    """Wait until all stream or stopped; by table why it stopped. Raises ComponentError when the stream says nothing."""
    from streaming.requests import held

    while True:
        waiting = held(settings)  # looked at first: what is done then stands in the status
        known = stream_job(settings)["tables"]
        states = {name: {} if name in waiting else known.get(name, {}) for name in tables}
        done = [name for name, state in states.items() if state.get("state") in ("running", "stopped")]
        if len(done) == len(tables):
            stopped = {name: state for name, state in states.items() if state["state"] == "stopped"}
            return {name: f"{state['reason']}\n  → {state['remedy']}" for name, state in stopped.items()}
        working = "; ".join(f"{name}: {known[name]['reason']}" for name in tables if known.get(name, {}).get("reason"))
        say(f"{len(done)} of {len(tables)} tables stream" + (f"; {working}" if working else ""))
        time.sleep(POLL_SECONDS)


def leave(settings: Settings, names: list[tuple[str, str]], say: Say) -> None:
    """Take tables, (schema, name), out of publication, stream, connector and Kafka once all their changes are applied.

    The stream keeps them until then, also one that starts anew. A connector that failed brings no more changes: they
    leave as they are, which is how it gets past a record of theirs that it cannot write. What broke off is finished by
    calling it again. Raises SourceError and ComponentError.
    """
    from connectors.inspection import list_topics
    from connectors.publication import withdraw
    from connectors.registration import failure
    from connectors.source import published_tables
    from connectors.topics import delete_topic
    from streaming.requests import Request, draining, pending, submit

    options = read_options(settings)
    sources = [named(options, schema, name) for schema, name in names]
    published = published_tables(settings)
    for schema, name in names:
        if (schema, name) in published:
            submit(settings, Request("drain", f"{schema}.{name}"))
            withdraw(settings, schema, name, LOCK_WAIT_SECONDS, say)
    stopped = {name for name, table in stream_job(settings)["tables"].items() if table.get("state") == "stopped"}
    say("waiting for the last changes")
    joining = {request.table for request in pending(settings) if request.kind == "hold"}
    last, topics = draining(settings) - stopped - joining, list_topics(settings)
    flowing = [source for source in sources if source.topic(settings.topic_prefix) in topics]
    if failure(settings) is None:
        _wait_applied(settings, [source for source in flowing if source.qualified in last])
    say("waiting for the stream to let go")
    _release(settings, [source.qualified for source in sources])
    say("connector and topics")
    connect(settings)
    for source in sources:
        delete_topic(settings, source.topic(settings.topic_prefix))


def left_tables(settings: Settings) -> set[str]:
    """`schema.table` of every mirror in the lake whose source was removed."""
    catalog, spaces = iceberg_catalog(settings), namespaces(read_options(settings))
    streamed = [name for name in all_tables(catalog) if name.partition(".")[0] in spaces]
    every = [catalog.load_table(name).properties for name in streamed]
    left = [SourceTable.from_json(each[SOURCE_PROPERTY]) for each in every if LEFT_PROPERTY in each]
    return {source.qualified for source in left}


def stream_job(settings: Settings) -> dict[str, Any]:
    """What the streaming job says of itself. Raises ComponentError when it said nothing for `SILENCE_SECONDS`."""
    from lake.stack_view import read_stream

    status = read_stream(settings)
    if status is None or status["age_seconds"] > SILENCE_SECONDS:
        raise ComponentError("the streaming job gives no sign", remedy="lake status; lake logs stream")
    return status


def _wait_applied(settings: Settings, sources: list[SourceTable]) -> None:
    """Until everything that committed before this moment is in the mirrors."""
    deadline = time.monotonic() + APPLY_SECONDS
    pass_barrier(settings, deadline)
    targets = topic_targets(settings, [source.topic(settings.topic_prefix) for source in sources])
    _, lagging = wait_covered(settings, iceberg_catalog(settings), sources, targets, deadline, lambda *_: None)
    for table, reason in lagging.items():
        raise ComponentError(f"its last changes are not applied: {reason}", remedy=f"lake status; lake remove {table}")


def _release(settings: Settings, tables: list[str]) -> None:
    from streaming.requests import Request, answer, submit

    requests = [Request("release", table) for table in tables]
    for request in requests:
        submit(settings, request)
    while any(answer(settings, request) is None for request in requests):
        stream_job(settings)
        time.sleep(POLL_SECONDS)
