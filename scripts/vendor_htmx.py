"""Copies htmx out of the wheel `django-htmx` into the static files: nothing of others is in git."""

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FILE = "htmx-2.min.js"
TARGET = Path("newsletter/web/static/vendor/htmx.min.js")


class VendorHtmx(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        # Found, not imported: its package wants Django.
        spec = find_spec("django_htmx")
        if spec is None or spec.origin is None:
            message = "django-htmx is missing; install requirements/build.txt first"
            raise FileNotFoundError(message)
        target = Path(self.root) / TARGET
        target.parent.mkdir(exist_ok=True)
        found = next(Path(spec.origin).parent.rglob(FILE))
        shutil.copyfile(found, target)
