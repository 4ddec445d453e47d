"""Runs the Ivy that PySpark ships: resolves one configuration of `jars/ivy.xml` and copies its files to one folder."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from catalog.errors import ComponentError, ConfigurationError
from stack.jars import sha256

PATTERN = "[artifact]-[revision](-[classifier]).[ext]"
"""How Ivy names a file, both in its cache and in our folders."""
CAUSES = re.compile(r"FAILED|not found|Server access|[Ee]xception|PKIX|timed out|invalid sha1|UnknownHost|Fatal Error")


@dataclass
class Run:
    """One configuration on its way: of `total` files (0 when unknown) it has `found` and `fetched` so many."""

    configuration: str
    total: int = 0
    found: int = 0
    fetched: int = 0
    lines: list[str] = field(default_factory=list)

    def read(self, line: str) -> None:
        """Take one line of Ivy's output."""
        self.lines.append(line.rstrip())
        self.found += line.startswith("\tfound ")
        self.fetched += "[SUCCESSFUL ]" in line

    def state(self) -> str:
        """How far it is, in a few words."""
        of = f" of {self.total}" if self.total else ""
        return f"{self.configuration} {self.found}{of} resolved" + (
            f", {self.fetched} downloaded" if self.fetched else ""
        )


@dataclass(frozen=True)
class Ivy:
    """Which Java, which module file and which resolver settings (Ivy's own, Maven Central, when None)."""

    java: Path
    module: Path
    settings: Path | None = None

    @property
    def cache(self) -> Path:
        """Shared by all clones of this user; one folder per configuration, so that they can run at once."""
        return Path.home() / ".ivy2" / "lakehouse"

    def retrieve(self, run: Run, folder: Path, log: Path) -> None:
        """Bring one configuration's files into `folder`. Raises ComponentError with the causes that Ivy named."""
        command = self._command(run.configuration, folder)
        # Ivy keeps the inheritable lock of the download, so that none starts beside it when we are killed.
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", close_fds=False
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                run.read(line)
        finally:
            process.terminate()
            process.wait()
        log.write_text("\n".join(run.lines) + "\n")
        if process.returncode or "::          UNRESOLVED DEPENDENCIES" in "\n".join(run.lines):
            raise failure(run, log)

    def take(self, configuration: str, name: str, expected: str, target: Path) -> bool:
        """Copy a file with the expected sum from the cache; a wrong one is removed, so that Ivy fetches it again."""
        for cached in (self.cache / configuration).glob(f"*/*/*/{name}"):
            if sha256(cached) == expected:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(cached, target)
                return True
            cached.unlink()
        return False

    def _command(self, configuration: str, folder: Path) -> list[str]:
        flags = [
            # Looking for source and documentation archives doubles the requests.
            "-Divy.maven.lookup.sources=false",
            "-Divy.maven.lookup.javadoc=false",
            "-Dsun.net.client.defaultConnectTimeout=20000",
            "-Dsun.net.client.defaultReadTimeout=60000",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            *proxy_flags(dict(os.environ)),
        ]
        settings = ["-settings", str(self.settings)] if self.settings else []
        what = ["-ivy", str(self.module), "-confs", configuration, "-types", "jar", "bundle", "plugin"]
        where = ["-cache", str(self.cache / configuration), "-retrieve", f"{folder}/{PATTERN}"]
        return [str(self.java / "bin" / "java"), *flags, "-jar", str(program()), *settings, *what, *where]


def program() -> Path:
    """Ivy's jar inside the PySpark wheel."""
    pyspark = importlib.util.find_spec("pyspark")
    found = sorted(Path(pyspark.origin).parent.glob("jars/ivy-*.jar")) if pyspark and pyspark.origin else []
    if not found:
        raise ConfigurationError("PySpark, which ships Ivy, is not installed here", remedy="run scripts/setup")
    return found[-1]


def proxy_flags(environment: dict[str, str]) -> list[str]:
    """The proxy variables that pip and curl read, said in Java's way."""
    flags = []
    for scheme in ("http", "https"):
        proxy = environment.get(f"{scheme}_proxy") or environment.get(f"{scheme}_proxy".upper())
        if proxy:
            parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
            flags += [f"-D{scheme}.proxyHost={parts.hostname}", f"-D{scheme}.proxyPort={parts.port or 80}"]
    direct = environment.get("no_proxy") or environment.get("NO_PROXY")
    if flags and direct:
        hosts = [f"*{host}" if host.startswith(".") else host for host in re.split(r"[,\s]+", direct) if host]
        flags.append(f"-Dhttp.nonProxyHosts={'|'.join(hosts)}")
    return flags


def failure(run: Run, log: Path) -> ComponentError:
    """What Ivy said, in its few lines that say why, and what to do about it."""
    named = dict.fromkeys(line.strip(" \t:") for line in run.lines if CAUSES.search(line))
    # A server that cannot be reached makes every module "not found": what it said comes first.
    causes = sorted(named, key=lambda line: "not found" in line)[:6]
    text = "\n  ".join(causes or run.lines[-6:])
    remedy = "run scripts/download_jars.sh again, it goes on where it stopped; behind a mirror, set LAKE_IVY_SETTINGS"
    if "PKIX" in text:
        remedy = "Java does not trust the certificate: add your CA to its trust store (Debian: update-ca-certificates)"
    return ComponentError(
        f"jars of `{run.configuration}` could not be fetched\n  {text}\n  all of it: {log}", remedy=remedy
    )
