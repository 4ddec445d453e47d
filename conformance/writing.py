"""The seed's transactions committed in order while everything breaks."""

from __future__ import annotations

import threading
from contextlib import suppress

import psycopg

from catalog.settings import Settings
from conformance.outcome import Report
from conformance.workload import transactions

TRANSACTIONS_PER_SECOND = 10.0


class Writer(threading.Thread):
    """Each transaction is tried once: whether one of unknown outcome landed, the oracle knows."""

    def __init__(self, settings: Settings, schema: str, report: Report) -> None:
        super().__init__(name="writer")
        self._settings, self._schema, self._report = settings, schema, report
        self.done, self.ending = 0, threading.Event()

    def run(self) -> None:
        """Until `ending` is set."""
        session: psycopg.Connection | None = None
        for transaction in transactions(self._report.seed, self._settings.source_example):
            while not self.ending.is_set() and (session is None or session.closed):
                with suppress(psycopg.OperationalError):
                    session = psycopg.connect(self._settings.source_dsn("taxi"), connect_timeout=5)
                self.ending.wait(0 if session and not session.closed else 0.5)
            if self.ending.is_set() or session is None:
                break
            statements = [statement.replace("@", f"{self._schema}.") for statement in transaction.statements]
            self._try(session, statements, transaction.commits)
            self.done += 1
            self.ending.wait(1 / TRANSACTIONS_PER_SECOND)

    def _try(self, session: psycopg.Connection, statements: list[str], commits: bool) -> None:
        try:
            for statement in statements:
                session.execute(statement.encode())
            (session.commit if commits else session.rollback)()
            self._report.committed += commits
            self._report.rolled_back += not commits
        except psycopg.OperationalError:
            self._report.unknown += 1
            session.close()
        except psycopg.Error:  # such as a key that is there already: the same in every run from the same rows
            self._report.refused += 1
            with suppress(psycopg.OperationalError):
                session.rollback()
