"""README and docs name only what there is: files, links, commands with their options, settings."""

import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import click
import pytest
import typer

import lake.__main__  # noqa: F401 - adds every command
from catalog.settings import PROJECT, Settings
from lake.app import app

PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md"))]
SETTINGS = {f"LAKE_{name}".upper() for name in Settings.model_fields}
OTHER_VARIABLES = {"LAKE_"}
LAKE = re.compile(r"(?:scripts/|^|[`$(])lake ((?:[a-z-]+|--[a-z-]+)(?: [^`\n|;#)]*)?)", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each `lake …` of a page: the words of the command, and its long options."""
    for match in LAKE.finditer(text):
        words = match[1].split()
        named = list(takewhile(lambda word: re.fullmatch(r"[a-z][a-z-]*", word), words))
        yield " ".join(named), [word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    """What others say stands at addresses of theirs: nobody asks the network here."""
    for target in re.findall(r"\]\((?!https:)([^)]+)\)", page.read_text()):
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_scripts_and_settings_are_there(page: Path):
    text = page.read_text()
    for script in re.findall(r"scripts/([\w.-]*\w)", text):
        assert (PROJECT / "scripts" / script).exists(), script
    for variable in re.findall(r"\bLAKE_[A-Z0-9_]*", text):
        assert variable in SETTINGS | OTHER_VARIABLES, variable


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_options_are_there(page: Path):
    root = typer.main.get_command(app)
    for named, options in commands(page.read_text()):
        command: click.Command = root
        for word in named.split():
            if not hasattr(command, "commands"):
                break
            assert word in command.commands, f"lake {named}"
            command = command.commands[word]
        known = {"--help", *(each for parameter in command.params for each in parameter.opts)}
        assert set(options) <= known, f"lake {named}: {set(options) - known}"


def test_every_page_is_named_in_the_readme():
    text = (PROJECT / "README.md").read_text()
    assert not [page.name for page in PAGES[1:] if f"({page.relative_to(PROJECT)})" not in text]
