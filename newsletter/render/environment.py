"""Jinja for our own mail templates: strict about names, escaping by default."""

from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from newsletter.settings import TEMPLATES


@cache
def mail_templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES / "email"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
