"""A REST catalog of others that asks for OAuth2: a guard with a token endpoint stands before the stack's own one."""

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import httpx
import pytest

from catalog.errors import ComponentError
from catalog.readers import duckdb_connection, iceberg_catalog
from catalog.settings import PREFIX, PROJECT, Settings
from stack import health

CREDENTIAL = "lake:0f1e2d3c"
SCOPE = "PRINCIPAL_ROLE:ALL"
TOKEN_SECONDS = 2.0
COUNT = "select count(*), sum(total_amount) from taxi_cdc.trips"


class Guard(ThreadingHTTPServer):
    """Lets only those pass to `catalog` who hold a token that it gave less than `TOKEN_SECONDS` ago."""

    daemon_threads = True

    def __init__(self, catalog: str) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.catalog, self.tokens, self.refused = catalog, {}, 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def is_good(self, header: str | None) -> bool:
        return time.monotonic() < self.tokens.get((header or "").removeprefix("Bearer "), 0)


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Guard

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/v1/oauth/tokens":
            self._give_token(body)
        elif self.server.is_good(self.headers["Authorization"]):
            kept = {"Content-Type": self.headers["Content-Type"]} if self.headers["Content-Type"] else {}
            answer = httpx.request(
                self.command, self.server.catalog + self.path, content=body, headers=kept, timeout=60
            )
            self._answer(answer.status_code, answer.content)
        else:
            self.server.refused += 1
            error = {"message": "no token", "type": "NotAuthorizedException", "code": 401}
            self._answer(401, json.dumps({"error": error}).encode())

    do_GET = do_POST = do_HEAD = do_DELETE = _handle

    def _give_token(self, body: bytes) -> None:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        kind, _, login = (self.headers["Authorization"] or "").partition(" ")
        # the client says who it is in a header or in the form, as OAuth2 allows
        who = base64.b64decode(login).decode() if kind == "Basic" else f"{form['client_id']}:{form['client_secret']}"
        if (who, form["grant_type"], form["scope"]) != (CREDENTIAL, "client_credentials", SCOPE):
            self._answer(401, json.dumps({"error": "invalid_client"}).encode())
            return
        token = os.urandom(8).hex()
        self.server.tokens[token] = time.monotonic() + TOKEN_SECONDS
        given = {"access_token": token, "token_type": "bearer", "expires_in": int(TOKEN_SECONDS)}
        self._answer(200, json.dumps(given).encode())

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def guard(settings: Settings) -> Iterator[Guard]:
    with Guard(settings.catalog) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def guarded(settings: Settings, guard: Guard, credential: str = CREDENTIAL) -> Settings:
    secrets = settings.secrets
    return Settings(
        _env_file=None,
        state_dir=settings.state_dir,
        port_offset=settings.port_offset,
        s3_access_key=secrets.s3_access_key,
        s3_secret_key=secrets.s3_secret_key,
        catalog_uri=guard.address,
        catalog_credential=credential,
        catalog_scope=SCOPE,
    )


def test_every_reader_logs_in_with_the_credential(stack, settings: Settings, guard: Guard):
    stack.verified("trips")
    (direct,) = stack.lake_rows(COUNT)
    own = guarded(settings, guard)
    assert health.check(health.ask_catalog, own).healthy
    with duckdb_connection(own, threads=1) as connection:
        assert connection.execute(COUNT).fetchone() == direct
        table = iceberg_catalog(own).load_table("taxi_cdc.trips")
        assert table.current_snapshot().snapshot_id
        time.sleep(TOKEN_SECONDS + 0.5)  # the tokens are old then, and new ones are asked for
        assert connection.execute(COUNT).fetchone() == direct
        assert table.refresh().current_snapshot().snapshot_id
    variables = {f"{PREFIX}{name}".upper(): _text(getattr(own, name)) for name in own.model_fields_set}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "lake", "sql", "--engine", "spark", "--format", "json", COUNT],
        env={**os.environ, **variables},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert str(direct[0]) in done.stdout
    assert CREDENTIAL.partition(":")[2] not in done.stdout + done.stderr


def test_a_wrong_credential_is_said_with_the_setting_that_mends_it(settings: Settings, guard: Guard):
    stranger = guarded(settings, guard, "lake:wr0ng")
    for opened in (duckdb_connection, iceberg_catalog):
        with pytest.raises(ComponentError) as refused:
            opened(stranger)
        assert "LAKE_CATALOG_CREDENTIAL" in refused.value.remedy and "wr0ng" not in str(refused.value)


def _text(value: object) -> str:
    return value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
