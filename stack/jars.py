"""The Java files: what `jars/ivy.xml` names, checked against `jars/SHA256SUMS`, in `jars/lib`; `jars/trino` likewise.

`problems` is quick, for every start; `stack.download_jars` mends what it lists.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from catalog.errors import ConfigurationError
from catalog.settings import PROJECT

MODULE = "../ivy.xml"
"""The module file's own line in the sums: they were taken for exactly this file."""


@dataclass(frozen=True)
class Jars:
    """The folder `jars/` of a clone, or one that holds a set of its own."""

    root: Path = PROJECT / "jars"
    name: str = ""

    @property
    def remedy(self) -> str:
        """What brings the files."""
        return f"run scripts/download_jars.sh {self.name}".rstrip()

    @property
    def update(self) -> str:
        """What takes new sums."""
        return f"{self.remedy} --update-sums, look at the difference and commit it"

    @property
    def lib(self) -> Path:
        """Where the files go; not in git."""
        return self.root / "lib"

    @property
    def module(self) -> Path:
        """The one file that names every coordinate."""
        return self.root / "ivy.xml"

    @property
    def sums(self) -> Path:
        """The committed sums, in the format of sha256sum, relative to `lib`."""
        return self.root / "SHA256SUMS"

    @property
    def launcher(self) -> Path:
        """The one Java source that is compiled beforehand; not every set has it."""
        return self.root / "rest-catalog" / "LoopbackRestServer.java"

    @property
    def stamp(self) -> Path:
        """Written last: what was verified, and every file's size."""
        return self.lib / ".complete"

    def configurations(self) -> list[str]:
        """Ivy's configurations, each a folder of `lib`."""
        return [conf.attrib["name"] for conf in ElementTree.parse(self.module).iter("conf")]


TRINO = Jars(PROJECT / "jars" / "trino", "trino")
"""Half a gigabyte that is fetched when it is asked for."""


@dataclass(frozen=True)
class Fault:
    """A file that is not what the sums say; `kind` is missing, cut or different."""

    name: str
    kind: str
    expected: str
    got: str = ""

    @property
    def configuration(self) -> str:
        """The configuration that the file belongs to."""
        return self.name.split("/", 1)[0]

    def __str__(self) -> str:
        if self.kind == "missing":
            return f"{self.name} is missing"
        what = "is cut, its end is missing" if self.kind == "cut" else "is not the file that the sum was taken of"
        return f"{self.name} {what}\n    expected sha256 {self.expected}\n    got             {self.got}"


def parse_sums(text: str) -> dict[str, str]:
    """File name to SHA-256. Raises ConfigurationError, which names the line that is not a sum."""
    sums = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = re.fullmatch(r"([0-9a-f]{64}) [ *](\S.*)", line)
        if not match:
            raise ConfigurationError(
                f"jars/SHA256SUMS line {number} is no sum: {line!r}", remedy="git checkout jars/SHA256SUMS"
            )
        sums[match[2]] = match[1]
    return sums


def render_sums(sums: Mapping[str, str]) -> str:
    """The sums as sha256sum writes them, sorted by name."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))


def read_sums(jars: Jars) -> dict[str, str]:
    """The committed sums, without the module's own line. Raises ConfigurationError when the module was changed."""
    if not jars.sums.exists():
        raise ConfigurationError(f"{jars.sums} is missing", remedy=f"git checkout {jars.sums}, or {jars.update}")
    sums = parse_sums(jars.sums.read_text())
    if sums.pop(MODULE, None) != sha256(jars.module):
        raise ConfigurationError(f"{jars.module} was changed after its SHA256SUMS was written", remedy=jars.update)
    return sums


def sha256(path: Path) -> str:
    """A file's sum in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_faults(lib: Path, sums: Mapping[str, str]) -> list[Fault]:
    """Every file that is missing, cut or different, by reading all of them."""
    faults = []
    for name, expected in sums.items():
        path = lib / name
        if not path.is_file():
            faults.append(Fault(name, "missing", expected))
        elif (got := sha256(path)) != expected:
            faults.append(Fault(name, "different" if is_whole(path) else "cut", expected, got))
    return faults


def is_whole(archive: Path) -> bool:
    """Whether an archive can be read to its end."""
    if archive.suffix == ".jar":
        return zipfile.is_zipfile(archive)
    try:
        with gzip.open(archive) as content:
            while content.read(1 << 20):
                pass
    except (EOFError, OSError, zlib.error):
        return False
    return True


def remove_strangers(jars: Jars, sums: Iterable[str]) -> None:
    """Delete jars that no sum names, such as older versions: they would be on a class path."""
    for configuration in jars.configurations():
        for path in (jars.lib / configuration).glob("*"):
            if path.is_file() and f"{configuration}/{path.name}" not in sums:
                path.unlink()


def problems(jars: Jars) -> list[str]:
    """What a download would mend, found by sizes and names alone; empty when all is as it was when last verified."""
    try:
        stamp = json.loads(jars.stamp.read_text())
        sizes: dict[str, int] = stamp["sizes"]
    except FileNotFoundError:
        return ["the jars were not downloaded yet"]
    except (ValueError, KeyError):
        return [f"{jars.stamp} cannot be read"]
    if stamp.get("key") != key(jars):
        return [f"{jars.module}, its SHA256SUMS or the launcher was changed"]
    found = _sizes(jars)
    missing = [f"{name} is missing" for name in sizes if name not in found]
    changed = [
        f"{name} has {found[name]} bytes instead of {size}"
        for name, size in sizes.items()
        if found.get(name, size) != size
    ]
    strange = [f"{name} was not there when the jars were verified" for name in found if name not in sizes]
    return missing + changed + strange


def key(jars: Jars) -> str:
    """Stands for everything that decides what is in `lib`."""
    decisive = (path for path in (jars.module, jars.sums, jars.launcher) if path.exists())
    return hashlib.sha256("".join(map(sha256, decisive)).encode()).hexdigest()


def write_stamp(jars: Jars) -> None:
    """Record that everything in `lib` was verified just now."""
    jars.stamp.write_text(json.dumps({"key": key(jars), "sizes": _sizes(jars)}, indent=1))


def _sizes(jars: Jars) -> dict[str, int]:
    kept = (path for path in jars.lib.rglob("*") if not path.name.startswith(".") and path.suffix != ".log")
    return {str(path.relative_to(jars.lib)): path.stat().st_size for path in kept if path.is_file()}
