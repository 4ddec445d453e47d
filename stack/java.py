"""Finds a Java runtime that Spark and Kafka can use."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from catalog.errors import ConfigurationError
from catalog.settings import Settings

NEEDED_MODULE = "jdk.incubator.vector"
"""Spark's launcher asks for it; runtimes that were cut down do not have it."""
OLDEST = 17
REMEDY = (
    "install a full Java 17 or newer (Debian, Ubuntu: apt-get install openjdk-17-jre-headless) or set LAKE_JAVA_HOME"
)


def find_java(settings: Settings) -> Path:
    """The home of a suitable Java. Raises ConfigurationError, which names what was found and what to install."""
    complaints = []
    for home in _candidates(settings):
        complaint = complaint_about(home)
        if not complaint:
            return home
        complaints.append(f"{home}: {complaint}")
    found = "; ".join(complaints) or "none on the PATH nor below /usr/lib/jvm"
    raise ConfigurationError(f"no suitable Java ({found})", remedy=REMEDY)


@cache
def complaint_about(home: Path) -> str:
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
    if int(version[1]) < OLDEST:
        return f"is Java {version[1]}, {OLDEST} or newer is needed"
    return "" if NEEDED_MODULE in listed.stdout else f"lacks the module {NEEDED_MODULE}"


def _candidates(settings: Settings) -> list[Path]:
    if settings.java_home:
        return [settings.java_home]
    homes = []
    if on_path := shutil.which("java"):
        homes.append(Path(on_path).resolve().parent.parent)
    homes += sorted(path.parent.parent.resolve() for path in Path("/usr/lib/jvm").glob("*/bin/java"))
    homes += sorted(path.parent.parent for path in Path("/opt/homebrew/opt").glob("openjdk*/bin/java"))
    return list(dict.fromkeys(homes))
