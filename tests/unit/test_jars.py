"""The sums, the stamp and what is said about a file that is not the right one."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from catalog.errors import ConfigurationError
from stack import jars as files
from stack.download_jars import differs
from stack.ivy import Ivy, Run, failure, proxy_flags
from stack.jars import Jars

MODULE = (
    '<ivy-module version="2.0"><configurations><conf name="kafka"/><conf name="spark"/></configurations></ivy-module>'
)


def jar(path: Path, entry: str = "A.class") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(entry, entry * 100)
    return path


@pytest.fixture
def jars(tmp_path: Path) -> Jars:
    """A verified folder with one jar in each of two configurations."""
    jars = Jars(tmp_path / "jars")
    names = ("kafka/broker-1.jar", "spark/runtime-1.jar")
    for name in names:
        jar(jars.lib / name)
    jars.module.write_text(MODULE)
    jars.launcher.parent.mkdir()
    jars.launcher.write_text("class LoopbackRestServer {}")
    jars.sums.write_text(files.render_sums({name: files.sha256(jars.lib / name) for name in (*names, files.MODULE)}))
    files.write_stamp(jars)
    return jars


def test_written_sums_are_read_back_and_are_those_of_sha256sum(jars: Jars):
    text = jars.sums.read_text()
    assert files.render_sums(files.parse_sums(text)) == text
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert files.parse_sums(f"{empty}  a/b c.jar\n{empty} *d.jar\n") == {"a/b c.jar": empty, "d.jar": empty}


@pytest.mark.parametrize("line", ["no sum", "abc  short.jar", f"{'g' * 64}  letters.jar", "f" * 64])
def test_a_line_that_is_no_sum_is_named(line: str):
    good = f"{'0' * 64}  a.jar"
    with pytest.raises(ConfigurationError, match="line 2"):
        files.parse_sums(f"{good}\n{line}\n")


def test_a_verified_folder_has_no_problems(jars: Jars):
    assert files.problems(jars) == []
    assert files.find_faults(jars.lib, files.read_sums(jars)) == []


def test_a_truncated_jar_is_noticed_at_once_and_named_as_cut(jars: Jars):
    broken = jars.lib / "spark/runtime-1.jar"
    size = broken.stat().st_size
    broken.write_bytes(broken.read_bytes()[: size // 2])
    assert files.problems(jars) == [f"spark/runtime-1.jar has {size // 2} bytes instead of {size}"]
    (fault,) = files.find_faults(jars.lib, files.read_sums(jars))
    assert (fault.name, fault.kind, fault.configuration) == ("spark/runtime-1.jar", "cut", "spark")


def test_another_whole_jar_is_named_with_both_sums(jars: Jars):
    sums = files.read_sums(jars)
    other = jar(jars.lib / "kafka/broker-1.jar", entry="B.class")
    faults = files.find_faults(jars.lib, sums)
    assert [fault.kind for fault in faults] == ["different"]
    text = str(differs(faults, Ivy(Path("/java"), jars.module)))
    assert "kafka/broker-1.jar" in text
    assert sums["kafka/broker-1.jar"] in text
    assert files.sha256(other) in text
    assert "scripts/download_jars.sh" in text


def test_a_missing_and_a_strange_file_are_named(jars: Jars):
    (jars.lib / "kafka/broker-1.jar").rename(jars.lib / "kafka/broker-0.jar")
    missing, strange = files.problems(jars)
    assert missing == "kafka/broker-1.jar is missing"
    assert strange.startswith("kafka/broker-0.jar was not there")
    files.remove_strangers(jars, files.read_sums(jars))
    assert not (jars.lib / "kafka/broker-0.jar").exists()
    assert (jars.lib / "spark/runtime-1.jar").exists()


@pytest.mark.parametrize("changed", ["module", "sums", "launcher"])
def test_the_stamp_holds_only_for_what_it_was_written_for(jars: Jars, changed: str):
    with getattr(jars, changed).open("a") as file:
        file.write("\n")
    assert len(files.problems(jars)) == 1


def test_no_stamp_or_an_unreadable_one_is_a_problem(jars: Jars):
    jars.stamp.write_text(json.dumps({"key": files.key(jars)}))
    assert "cannot be read" in files.problems(jars)[0]
    jars.stamp.unlink()
    assert files.problems(jars) == ["the jars were not downloaded yet"]


def test_sums_of_another_module_file_are_refused(jars: Jars):
    jars.module.write_text(MODULE.replace("spark", "flink"))
    with pytest.raises(ConfigurationError, match="--update-sums"):
        files.read_sums(jars)


def test_a_cut_plugin_archive_is_not_whole(tmp_path: Path):
    archive = tmp_path / "plugin.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("plugin.jar")
        member.size = 10_000
        tar.addfile(member, io.BytesIO(bytes(range(250)) * 40))
    assert files.is_whole(archive)
    archive.write_bytes(archive.read_bytes()[:-20])
    assert not files.is_whole(archive)


def test_a_right_file_is_taken_from_ivys_cache_and_a_wrong_one_is_removed_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    ivy = Ivy(Path("/java"), tmp_path / "ivy.xml")
    cached = jar(ivy.cache / "kafka" / "org.apache" / "broker" / "jars" / "broker-1.jar")
    expected, target = files.sha256(cached), tmp_path / "lib" / "kafka" / "broker-1.jar"
    assert ivy.take("kafka", "broker-1.jar", expected, target)
    assert files.sha256(target) == expected
    target.unlink()
    cached.write_bytes(cached.read_bytes()[:-30])
    assert not ivy.take("kafka", "broker-1.jar", expected, target)
    assert not cached.exists()
    assert not target.exists()


def test_ivys_progress_is_counted_and_its_causes_are_shown(tmp_path: Path):
    run = Run("kafka", total=2)
    for line in (
        "\tfound org.apache#broker;1 in public\n",
        "\t[SUCCESSFUL ] org.apache#broker;1!broker.jar (12ms)\n",
        "\t[FAILED     ] org.apache#client;1!client.jar: invalid sha1\n",
    ):
        run.read(line)
    assert run.state() == "kafka 1 of 2 resolved, 1 downloaded"
    text = str(failure(run, tmp_path / "kafka.log"))
    assert "client.jar: invalid sha1" in text
    assert "broker" not in text
    unreachable = Run("kafka", lines=["\t\tmodule not found: org.apache#broker;1", "\tServer access error at url x"])
    assert str(failure(unreachable, tmp_path / "kafka.log")).splitlines()[1] == "  Server access error at url x"
    assert str(tmp_path / "kafka.log") in text


def test_proxy_variables_reach_java():
    environment = {"HTTPS_PROXY": "http://proxy.example:3128", "no_proxy": "localhost,.example.org"}
    assert proxy_flags(environment) == [
        "-Dhttps.proxyHost=proxy.example",
        "-Dhttps.proxyPort=3128",
        "-Dhttp.nonProxyHosts=localhost|*.example.org",
    ]
    assert proxy_flags({"no_proxy": "localhost"}) == []
