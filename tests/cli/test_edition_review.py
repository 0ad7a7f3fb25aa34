"""`newsletter edition …` before an approval: what the pages do, for a terminal."""

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from newsletter.cli.edition import command
from newsletter.db import transaction
from newsletter.errors import NewsletterError, StateError
from newsletter.models import EditionState, MailingList
from newsletter.plan.drafts import draft_of
from tests.cli.running import run
