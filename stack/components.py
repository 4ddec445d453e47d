"""What the stack consists of: one declaration per component, in one tuple."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from catalog.errors import ConfigurationError
from catalog.settings import Settings
from stack import commands, configuration, health, kafka, postgres, s3
from stack.commands import Command


def _unchanged(settings: Settings) -> bool:
    return False


def _nothing(settings: Settings) -> None:
    return None


@dataclass(frozen=True)
class Component:
    """One supervised process.

    `after` names what must answer before it is started; `prepare` writes its files and says whether they changed;
    `finish` runs once it answers `ask`; `ports` are settings; `external` are the settings that mean it runs elsewhere;
    `orphan_signal` is what it gets when supervisord was killed and the others may be gone already.
    """

    name: str
    title: str
    command: Callable[[Settings], Command]
    ask: Callable[[Settings], str]
    address: Callable[[Settings], str]
    ports: tuple[str, ...]
    after: tuple[str, ...] = ()
    prepare: Callable[[Settings], bool] = _unchanged
    finish: Callable[[Settings], None] = _nothing
    external: tuple[str, ...] = ()
    start_seconds: int = 90
    stop_signal: str = "TERM"
    stop_seconds: int = 30
    orphan_signal: str = "TERM"

    def is_external(self, settings: Settings) -> bool:
        """Whether settings point to one that others run."""
        return bool(self.external) and all(getattr(settings, name) is not None for name in self.external)

    def port_numbers(self, settings: Settings) -> dict[str, int]:
        """Every port it listens on, by the setting that moves it, internal ones as `name+n`."""
        numbers = {f"{name}_port": settings.port(name) for name in self.ports}
        if self.name == "store":
            numbers |= {f"s3_internal_port+{n}": port for n, port in enumerate(store_internal_ports(settings).values())}
        return numbers


def store_internal_ports(settings: Settings) -> dict[str, int]:
    """The object store's internal ports by use."""
    return {use: settings.port("s3_internal") + n for n, use in enumerate(commands.STORE_PORTS)}


def _prepare_store(settings: Settings) -> bool:
    folder = settings.state_dir / "store"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # the program saves the options it ran with and reads them again: ours must win
    (folder / "mini.options").unlink(missing_ok=True)
    return configuration.write_store(settings, store_internal_ports(settings))


COMPONENTS = (
    Component(
        name="postgres",
        title="Postgres",
        command=commands.postgres_command,
        ask=postgres.ask,
        address=lambda settings: f"{settings.host}:{settings.port('postgres')}",
        ports=("postgres",),
        prepare=postgres.prepare,
        finish=postgres.ensure_catalog,
        external=("source_host", "catalog_uri"),
        stop_signal=postgres.STOP_SIGNAL,
        stop_seconds=60,
        orphan_signal=postgres.ORPHAN_SIGNAL,
    ),
    Component(
        name="kafka",
        title="Kafka",
        command=commands.kafka_command,
        ask=kafka.ask,
        address=lambda settings: settings.kafka,
        ports=("kafka", "kafka_controller"),
        after=("postgres",),
        prepare=kafka.prepare,
        external=("kafka_bootstrap",),
    ),
    Component(
        name="store",
        title="S3 store",
        command=commands.store_command,
        ask=s3.ask,
        address=lambda settings: settings.s3,
        ports=("s3", "s3_console"),
        prepare=_prepare_store,
        external=("s3_endpoint",),
    ),
    Component(
        name="catalog",
        title="REST catalog",
        command=commands.catalog_command,
        ask=health.ask_catalog,
        address=lambda settings: settings.catalog,
        ports=("catalog",),
        after=("postgres",),
        prepare=configuration.write_log_setup,
        external=("catalog_uri",),
    ),
    Component(
        name="connect",
        title="Kafka Connect",
        command=commands.connect_command,
        ask=health.ask_connect,
        address=lambda settings: settings.connect,
        ports=("connect",),
        after=("postgres", "kafka"),
        prepare=configuration.write_connect,
        external=("connect_url",),
        start_seconds=180,
        orphan_signal="KILL",
    ),
    Component(
        name="stream",
        title="stream",
        command=commands.stream_command,
        ask=health.ask_stream,
        address=lambda settings: f"http://{settings.host}:{settings.port('spark_ui')}",
        ports=("spark_ui",),
        after=("postgres", "kafka", "store", "catalog"),
        start_seconds=180,
        stop_seconds=60,
        orphan_signal="KILL",
    ),
)
"""In the order in which they can be started one by one; they are stopped the other way round."""


def component(name: str) -> Component:
    """The component of this name. Raises ConfigurationError, which lists the names."""
    for each in COMPONENTS:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in COMPONENTS)
    raise ConfigurationError(f"there is no component {name}", remedy=f"one of: {names}")


def embedded(settings: Settings, *, without: tuple[str, ...] = ()) -> tuple[Component, ...]:
    """The components that this stack runs itself."""
    unwanted = {component(name).name for name in without}
    return tuple(each for each in COMPONENTS if each.name not in unwanted and not each.is_external(settings))
