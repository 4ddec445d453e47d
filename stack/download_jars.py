"""Brings `jars/lib` to what `jars/ivy.xml` and `jars/SHA256SUMS` say. `python -m stack.download_jars` is its script.

1. Files that no sum names go. Wrong ones go too, also from Ivy's cache: a cut download heals.
2. Files in Ivy's cache are copied; Ivy fetches the configurations that lack one, all at once; every sum is compared.
3. The connector plugin is unpacked, the REST catalog's launcher compiled, and the stamp written.

`python -m stack.download_jars trino` does the same with `jars/trino`.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from catalog.errors import ComponentError, ConfigurationError, LakehouseError
from catalog.java import find_java
from catalog.settings import PROJECT, Settings, load_settings
from stack import jars as files
from stack.ivy import Ivy, Run
from stack.jars import Fault, Jars

PLAIN_INTERVAL = 10.0
"""Seconds between two lines of progress where there is no terminal."""


def download(settings: Settings, console: Console, jars: Jars) -> None:
    """Make the jars complete; instant when they are. Raises ConfigurationError or ComponentError naming the file."""
    if not files.problems(jars):
        return
    sums = files.read_sums(jars)
    ivy = Ivy(find_java(settings), jars.module, settings.ivy_settings)
    with _alone(ivy.cache, console):
        jars.stamp.unlink(missing_ok=True)
        files.remove_strangers(jars, sums)
        if faults := files.find_faults(jars.lib, sums):
            _fetch_again(ivy, jars, faults, sums, console)
            if faults := files.find_faults(jars.lib, sums):
                raise differs(faults, ivy)
        _finish(ivy, jars)
    console.print(f"jars: {len(sums)} files as in {jars.sums.relative_to(PROJECT)}")


def update_sums(settings: Settings, console: Console, jars: Jars) -> None:
    """Fetch everything that the module names and take its sums as the right ones."""
    ivy = Ivy(find_java(settings), jars.module, settings.ivy_settings)
    with _alone(ivy.cache, console):
        jars.stamp.unlink(missing_ok=True)
        files.remove_strangers(jars, ())
        names = jars.configurations()
        _fetch(ivy, jars, names, {}, console)
        found = [f"{name}/{path.name}" for name in names for path in (jars.lib / name).iterdir() if path.is_file()]
        jars.sums.write_text(
            files.render_sums({name: files.sha256(jars.lib / name) for name in [*found, files.MODULE]})
        )
        _finish(ivy, jars)
    console.print(f"jars: {len(found)} sums written to {jars.sums}")


def differs(faults: Sequence[Fault], ivy: Ivy) -> ConfigurationError:
    """The error for files that are still wrong when they come fresh from the repository."""
    listed = "\n  ".join(str(fault) for fault in faults[:5])
    more = f"\n  and {len(faults) - 5} more" if len(faults) > 5 else ""
    source = f"the settings in {ivy.settings} lead to" if ivy.settings else "it comes from"
    return ConfigurationError(
        f"{len(faults)} Java files are not those of SHA256SUMS\n  {listed}{more}",
        remedy=f"do not use them: find out what repository or proxy {source}; a cut file heals with "
        f"`rm -r {ivy.cache / faults[0].configuration}` and scripts/download_jars.sh",
    )


@contextmanager
def _alone(cache: Path, console: Console) -> Iterator[None]:
    """Keep two downloads of one user apart: Ivy's cache is not made for that."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print("jars: another download is running, waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch_again(ivy: Ivy, jars: Jars, faults: Sequence[Fault], sums: Mapping[str, str], console: Console) -> None:
    lacking = set()
    for fault in faults:
        if fault.kind != "missing":
            console.print(f"jars: {fault.name} is {fault.kind}, fetching it again")
        target = jars.lib / fault.name
        target.unlink(missing_ok=True)
        if not ivy.take(fault.configuration, target.name, fault.expected, target):
            lacking.add(fault.configuration)
    _fetch(ivy, jars, sorted(lacking), sums, console)


def _fetch(ivy: Ivy, jars: Jars, names: Sequence[str], sums: Mapping[str, str], console: Console) -> None:
    runs = [Run(name, total=sum(file.startswith(f"{name}/") for file in sums)) for name in names]
    work = []
    with ThreadPoolExecutor(max(1, len(runs))) as pool:
        for run in runs:
            folder = jars.lib / run.configuration
            folder.mkdir(parents=True, exist_ok=True)
            work.append(pool.submit(ivy.retrieve, run, folder, jars.lib / f"{run.configuration}.log"))
        (_draw if console.is_terminal else _print)(runs, work, console)
    for done in work:
        done.result()


def _draw(runs: Sequence[Run], work: Sequence[Future[None]], console: Console) -> None:
    columns = (TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[step]}"), console=console) as progress:
        tasks = {run.configuration: progress.add_task(run.configuration, step="") for run in runs}
        while _any_left(work, 0.2):
            for run in runs:
                progress.update(
                    tasks[run.configuration],
                    completed=run.found + run.fetched,
                    total=2 * run.total or None,
                    step="downloading" if run.fetched else "resolving",
                )
        for run in runs:
            progress.update(tasks[run.configuration], completed=1, total=1, step="")


def _print(runs: Sequence[Run], work: Sequence[Future[None]], console: Console) -> None:
    start = time.monotonic()
    while _any_left(work, PLAIN_INTERVAL):
        states = ", ".join(run.state() for run, done in zip(runs, work, strict=True) if not done.done())
        console.print(f"jars: {time.monotonic() - start:.0f} s: {states}", soft_wrap=True, highlight=False)


def _any_left(work: Sequence[Future[None]], seconds: float) -> bool:
    return bool(wait(work, timeout=seconds).not_done)


def _finish(ivy: Ivy, jars: Jars) -> None:
    """Unpack the connector plugin, compile the launcher, make Trino find its plugin, write the stamp."""
    plugins = jars.lib / "plugins"
    shutil.rmtree(plugins, ignore_errors=True)
    for archive in (jars.lib / "debezium").glob("*.tar.gz"):
        with tarfile.open(archive) as tar:
            # Debian 12's Python is older than the filter; the archive's sum was compared.
            tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
            tar.extractall(plugins)
    if jars.launcher.exists():
        _compile(ivy, jars)
    if (services := jars.root / "services").exists():
        # Trino takes every file of a plugin's folder as an archive of classes.
        shutil.make_archive(str(jars.lib / "iceberg" / "services"), "zip", services)
    files.write_stamp(jars)


def _compile(ivy: Ivy, jars: Jars) -> None:
    folder = jars.lib / "rest-catalog"
    compiler = next((jars.lib / "tools").glob("ecj-*.jar"))
    shutil.rmtree(folder / "classes", ignore_errors=True)
    classes = ":".join(str(path) for path in folder.glob("*.jar"))
    java = str(ivy.java / "bin" / "java")
    command = [java, "-jar", str(compiler), "-17", "-cp", classes, "-d", str(folder / "classes"), str(jars.launcher)]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode:
        raise ComponentError(f"{jars.launcher} does not compile\n{ran.stdout}{ran.stderr}", remedy="correct the source")


def main() -> None:
    """The script's arguments; an error of ours ends it with its message and exit code 2."""
    parser = argparse.ArgumentParser(prog="download_jars.sh", description=(__doc__ or "").split("`python")[0])
    parser.add_argument("set", nargs="?", choices=[files.TRINO.name], help="this set instead of what the core runs")
    parser.add_argument(
        "--update-sums", action="store_true", help="after a change of jars/ivy.xml: write SHA256SUMS anew"
    )
    arguments = parser.parse_args()
    jars, console = files.TRINO if arguments.set else Jars(), Console()
    try:
        (update_sums if arguments.update_sums else download)(load_settings(), console, jars)
    except LakehouseError as error:
        Console(stderr=True).print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
