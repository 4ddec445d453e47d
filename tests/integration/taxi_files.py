"""Files as TLC publishes them, made of real trips, and a website that serves them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet

from catalog.settings import SAMPLE

ROWS = 2_000


def real_trips(month: str, rows: int = ROWS) -> pa.Table:
    """Real trips of the same month of 2019, moved to `month` of another year."""
    year, number = month.split("-")
    trips = parquet.read_table(SAMPLE / "tlc" / f"yellow_tripdata_2019-{number}.parquet").slice(0, rows)
    days = datetime(int(year), int(number), 1) - datetime(2019, int(number), 1)
    for name in ("tpep_pickup_datetime", "tpep_dropoff_datetime"):
        trips = set_column(trips, name, pc.add(trips[name], pa.scalar(days)))
    return trips


def set_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def with_values(table: pa.Table, name: str, values: dict[int, Any]) -> pa.Table:
    """The table with other values of a column in some rows."""
    changed = table[name].to_pylist()
    for row, value in values.items():
        changed[row] = value
    return set_column(table, name, pa.array(changed, table.schema.field(name).type))


def write(folder: Path, month: str, table: pa.Table, **options: Any) -> Path:
    """The month's file, of bytes that no earlier session can have published."""
    path = folder / f"yellow_tripdata_{month}.parquet"
    parquet.write_table(table.replace_schema_metadata({"made": uuid4().hex}), path, **options)
    return path


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """A URL template and what was asked: files have an entity tag, 304 is for who has it, 403 for what is not there."""
    asked: list[tuple[str, int]] = []

    class Site(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            file = folder / self.path.removeprefix("/")
            tag = f'"{file.stat().st_mtime_ns}"' if file.is_file() else ""
            status = 403 if not tag else 304 if self.headers["If-None-Match"] == tag else 200
            asked.append((file.name, status))
            content = file.read_bytes() if status == 200 else b""
            self.send_response(status)
            self.send_header("ETag", tag)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/yellow_tripdata_{{year}}-{{month:02d}}.parquet", asked
    server.shutdown()
    server.server_close()
