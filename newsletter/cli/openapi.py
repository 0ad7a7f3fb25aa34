"""`newsletter openapi`: the description of the API, for programs that read one."""

import click

from newsletter.cli.output import write_json
from newsletter.web.api.application import create_api


@click.command("openapi")
def command() -> None:
    """Print the OpenAPI 3.1 document of the API, the same that /api/v1/openapi.json serves."""
    write_json(create_api().openapi())
