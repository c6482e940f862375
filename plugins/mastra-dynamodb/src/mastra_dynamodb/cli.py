"""`mastra dynamodb …`: the table as code, and a table for local development. Knows the command line; must not know records."""

from __future__ import annotations

from typing import Annotated

import typer

from mastra_dynamodb.options import check_table_name
from mastra_dynamodb.templates import FORMATS, indented, policy
from mastra_dynamodb.ttl import ATTRIBUTES

app = typer.Typer(
    help="The table of mastra-dynamodb: templates for operators, and a local one.", no_args_is_help=True, add_completion=False
)

Table = Annotated[str, typer.Option("--table", help="The table's name.")]
Ttl = Annotated[str, typer.Option("--ttl-attribute", help="By which items expire: ttl or expiresAt.")]


@app.command()
def template(
    *,
    form: Annotated[str, typer.Option("--format", help="cloudformation, cdk (Python) or terraform.")] = "cloudformation",
    table: Table = "mastra",
    ttl: Ttl = "ttl",
) -> None:
    """Print the table as code for your infrastructure."""
    if form not in FORMATS:
        raise typer.BadParameter(f"there is no format {form!r}; there are {', '.join(FORMATS)}", param_hint="--format")
    typer.echo(FORMATS[form](check_table_name(table), ttl=_attribute(ttl)), nl=False)


@app.command("policy")
def print_policy(
    *,
    table: Table = "mastra",
    region: Annotated[str, typer.Option(help="The AWS region, or * for any.")] = "*",
    account: Annotated[str, typer.Option(help="The AWS account, twelve digits, or * for any.")] = "*",
) -> None:
    """Print the smallest IAM policy that a store needs."""
    typer.echo(indented(policy(check_table_name(table), region=region, account=account)), nl=False)


@app.command("create-table")
def make_table(
    *,
    table: Table = "mastra",
    region: Annotated[str | None, typer.Option(help="The AWS region; the environment's if not given.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Of DynamoDB Local, such as http://localhost:8000.")] = None,
    ttl: Annotated[str | None, typer.Option("--ttl-attribute", help="Turn time to live on, by this attribute.")] = None,
) -> None:
    """Make a table for local development, and wait until it can be used."""
    # boto3 takes its time to import, and the other commands do not need it.
    from mastra_dynamodb.setup import create_table

    create_table(check_table_name(table), region=region, endpoint=endpoint, ttl=None if ttl is None else _attribute(ttl))
    where = "&".join(f"{name}={value}" for name, value in (("region", region), ("endpoint", endpoint)) if value)
    typer.echo(f"made table {table}; use it as dynamodb://{table}{where and '?'}{where}")


def commands(_: str) -> typer.Typer:
    """What the plugin's description names."""
    return app


def _attribute(name: str) -> str:
    if name not in ATTRIBUTES:
        raise typer.BadParameter(f"the attribute is one of {', '.join(ATTRIBUTES)}, found {name!r}", param_hint="--ttl-attribute")
    return name
