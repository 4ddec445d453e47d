"""The embedded Postgres: its programs, its data folder, and the databases that other components keep in it."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
from functools import cache
from pathlib import Path

import psycopg
from psycopg import sql

from catalog.errors import ComponentError, ConfigurationError
from catalog.settings import Settings
from stack import configuration

STOP_SIGNAL = "INT"
"""Postgres' fast shutdown; TERM would wait for every client."""
ORPHAN_SIGNAL = "QUIT"
"""Postgres' immediate shutdown; the fast one waits for a reader of the WAL that may hang."""
OLDEST = 14
REMEDY = "install PostgreSQL (Debian, Ubuntu: apt-get install postgresql) or set LAKE_SOURCE_HOST and LAKE_CATALOG_URI"


@cache
def binary(name: str) -> Path:
    """A server program, from the newest installation found. Raises ConfigurationError when there is none."""
    for folder in _folders():
        if (folder / name).exists() and (folder / "initdb").exists():
            return folder / name
    raise ConfigurationError(f"Postgres' program `{name}` was not found", remedy=REMEDY)


@cache
def version() -> str:
    """The server's version, as in `15.13`. Raises ConfigurationError when it is missing or too old."""
    printed = subprocess.run([binary("postgres"), "--version"], capture_output=True, text=True, check=True).stdout
    number = re.search(r"\d+(\.\d+)?", printed)
    if number is None or float(number[0]) < OLDEST:
        raise ConfigurationError(f"{printed.strip()} is too old, {OLDEST} or newer is needed", remedy=REMEDY)
    return number[0]


def data_dir(settings: Settings) -> Path:
    """The cluster's folder."""
    return settings.state_dir / "postgres"


def drop_privileges(settings: Settings) -> tuple[str, ...]:
    """What stands before a server program so that it does not run as root; nothing for any other user.

    Where a folder above the data is closed to the unprivileged user, its process may pass folders nevertheless.
    """
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ConfigurationError(
            "Postgres refuses to run as root and `setpriv` is missing", remedy="install util-linux, or do not be root"
        )
    user = _owner()
    drop: tuple[str, ...] = (setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
    if sys.platform.startswith("linux"):
        drop = (*drop, f"--pdeathsig={ORPHAN_SIGNAL}")
    if _closed_to(user, data_dir(settings).parent):
        drop = (*drop, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    return drop


def prepare(settings: Settings) -> bool:
    """Create the cluster when there is none and write its configuration; True when that changed."""
    data = data_dir(settings)
    if not (data / "PG_VERSION").exists():
        _create_cluster(settings)
    values = {"host": settings.host, "postgres_port": settings.port("postgres")}
    names = ("postgresql.conf", "pg_hba.conf")
    changed = [configuration.write(data / name, configuration.render(name, values)) for name in names]
    _own(*(data / name for name in names))
    return any(changed)


def ensure_catalog(settings: Settings) -> None:
    """Create the REST catalog's role and database. The source's are others' affair."""
    if settings.catalog_uri is not None:
        return
    ensure_database(settings, "catalog", settings.secrets.catalog)


def ensure_database(settings: Settings, name: str, password: str) -> None:
    """Create a role and its database of the same name, closed to others, and set its password."""
    names = {"name": sql.Identifier(name), "password": sql.Literal(password)}
    with _superuser(settings) as connection:
        role = connection.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone()
        verb = sql.SQL("alter" if role else "create")
        connection.execute(sql.SQL("{verb} role {name} login password {password}").format(verb=verb, **names))
        if not connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
            connection.execute(sql.SQL("create database {name} owner {name}").format(**names))
        connection.execute(sql.SQL("revoke all on database {name} from public").format(**names))


def address(settings: Settings) -> str:
    """`host:port` of the embedded server, or of the one of others."""
    if settings.source_host is not None and settings.catalog_uri is not None:
        return "{}:{}".format(*settings.source_address)
    return f"{settings.host}:{settings.port('postgres')}"


def ask(settings: Settings) -> str:
    """One real query to the embedded server, or to the one of others; its answer is the server's version."""
    if settings.source_host is not None and settings.catalog_uri is not None:
        return ask_source(settings)
    with _superuser(settings) as connection:
        return _version(connection)


def ask_source(settings: Settings) -> str:
    """The same of the source database, as whoever may be there before we made anything."""
    first = settings.postgres_password is not None
    dsn = settings.source_dsn("postgres", "postgres") if first else settings.source_dsn("cdc")
    with psycopg.connect(dsn, connect_timeout=5, autocommit=True) as connection:
        return _version(connection)


def _version(connection: psycopg.Connection) -> str:
    row = connection.execute("select split_part(current_setting('server_version'), ' ', 1)").fetchone()
    return f"PostgreSQL {row[0]}" if row else "no row"


def _superuser(settings: Settings) -> psycopg.Connection:
    return psycopg.connect(
        host=settings.host,
        port=settings.port("postgres"),
        user="postgres",
        password=settings.secrets.postgres,
        dbname="postgres",
        connect_timeout=3,
        autocommit=True,
    )


def _create_cluster(settings: Settings) -> None:
    """Run initdb beside the final folder, which appears only when it is complete."""
    partial = data_dir(settings).with_name("postgres.new")
    password = partial.with_name("postgres.password")
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(mode=0o700, parents=True)
    configuration.write(password, settings.secrets.postgres)
    _own(partial, password)
    locale = "C.UTF-8" if sys.platform.startswith("linux") else "C"
    command = [*drop_privileges(settings), str(binary("initdb")), "-D", str(partial), "-U", "postgres"]
    command += ["--auth=scram-sha-256", f"--pwfile={password}", "-E", "UTF8", f"--locale={locale}", "--data-checksums"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd="/")
    finally:
        password.unlink()
    if done.returncode:
        raise ComponentError(
            f"initdb failed for {partial}: {done.stderr.strip()[-800:]}", remedy="mend what it says, then `lake up`"
        )
    partial.rename(data_dir(settings))


def _owner() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ConfigurationError("no unprivileged user for Postgres", remedy="create a system user named postgres")


def _own(*paths: Path) -> None:
    if os.geteuid() == 0:
        user = _owner()
        for path in paths:
            os.chown(path, user.pw_uid, user.pw_gid)


def _closed_to(user: pwd.struct_passwd, folder: Path) -> bool:
    """Whether the user may not pass this folder or one above it."""
    for each in (folder, *folder.parents):
        status = each.stat()
        if status.st_uid == user.pw_uid:
            needed = stat.S_IXUSR
        else:
            needed = stat.S_IXGRP if status.st_gid == user.pw_gid else stat.S_IXOTH
        if not status.st_mode & needed:
            return True
    return False


def _folders() -> list[Path]:
    folders = []
    if pg_config := shutil.which("pg_config"):
        printed = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True)
        folders.append(Path(printed.stdout.strip()))
    installed = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    installed += Path("/opt/homebrew/opt").glob("postgresql@*/bin")
    newest = sorted(installed, key=lambda folder: int(re.sub(r"\D", "", folder.parent.name) or 0), reverse=True)
    on_path = [Path(found).resolve().parent] if (found := shutil.which("postgres")) else []
    return [*folders, *newest, *on_path]
