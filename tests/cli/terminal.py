"""What tests at a terminal begin with: a list, and answers as JSON."""

import json
from typing import Any

from click.testing import CliRunner, Result

from newsletter.cli import lists

CREATE = (
    "create",
    "daily",
    "--name=The Daily",
    "--sender-name=The Desk",
    "--sender-address=desk@courier.example",
    "--postal-address=4 Ropewalk Lane, Port Ellery",
)


def newsletter_list(*arguments: str) -> Result:
    return CliRunner().invoke(lists.command, arguments)


def as_json(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)
