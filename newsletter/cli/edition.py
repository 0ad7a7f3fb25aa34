"""`newsletter edition`: from a briefing's text to a sent edition, and its figures."""

import getpass
import json
from pathlib import Path

import click

from newsletter.audience.lists import list_by_slug
from newsletter.clock import utc_now
from newsletter.compose.findings import Finding, Severity
from newsletter.compose.reading import decode
from newsletter.db import reading, transaction
from newsletter.plan import approval, editions, schedule
from newsletter.report.editions import EditionStatus, edition_status
from newsletter.settings import get_settings

BRIEFING = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def command() -> None:
    """Create, approve, send and watch editions."""
