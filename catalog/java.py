"""Finds the Java runtimes: one that Spark and Kafka can use, and the newer one that Trino needs."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from catalog.errors import ConfigurationError
from catalog.settings import Settings


@dataclass(frozen=True)
class Need:
    """What a program asks of its Java: the setting that names one, the oldest version, its modules, what to install."""

    setting: str
    oldest: int
    modules: tuple[str, ...]
    remedy: str


SPARK = Need(
    "java_home",
    17,
    # Spark's launcher asks for it; runtimes that were cut down do not have it.
    ("jdk.incubator.vector",),
    "apt-get install openjdk-17-jre-headless, elsewhere any full Java 17 or newer, or set LAKE_JAVA_HOME",
)
TRINO = Need(
    "java25_home",
    25,
    # A JDK has the compiler, which makes the server's main class when it starts.
    ("jdk.incubator.vector", "jdk.compiler"),
    "apt-get install openjdk-25-jdk-headless where the distribution has it, elsewhere any full JDK 25 such as Eclipse "
    "Temurin's, or set LAKE_JAVA25_HOME",
)


def find_java(settings: Settings, need: Need = SPARK) -> Path:
    """The home of a suitable Java. Raises ConfigurationError, which names what was found and what to install."""
    complaints = []
    for home in _candidates(getattr(settings, need.setting)):
        complaint = complaint_about(home, need)
        if not complaint:
            return home
        complaints.append(f"{home}: {complaint}")
    found = "; ".join(complaints) or "none on the PATH nor below /usr/lib/jvm"
    raise ConfigurationError(f"no suitable Java ({found})", remedy=need.remedy)


@cache
def complaint_about(home: Path, need: Need) -> str:
    """Why this Java cannot be used; an empty string when it can."""
    java = home / "bin" / "java"
    if not java.exists():
        return "has no bin/java"
    try:
        listed = subprocess.run([java, "--list-modules"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not run ({error})"
    version = re.search(r"^java\.base@(\d+)", listed.stdout, re.MULTILINE)
    if not version:
        return "is older than Java 9"
    if int(version[1]) < need.oldest:
        return f"is Java {version[1]}, {need.oldest} or newer is needed"
    lacking = [module for module in need.modules if f"{module}@" not in listed.stdout]
    return f"lacks the module {lacking[0]}" if lacking else ""


def _candidates(given: Path | None) -> list[Path]:
    if given:
        return [given]
    homes = []
    if on_path := shutil.which("java"):
        homes.append(Path(on_path).resolve().parent.parent)
    homes += sorted(path.parent.parent.resolve() for path in Path("/usr/lib/jvm").glob("*/bin/java"))
    homes += sorted(path.parent.parent for path in Path("/opt/homebrew/opt").glob("openjdk*/bin/java"))
    return list(dict.fromkeys(homes))
