"""The `lake` application that every module of commands adds to."""

import typer

app = typer.Typer(
    name="lake",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Postgres tables in Apache Iceberg: exact to the row, fresh, cheap to keep.",
)
