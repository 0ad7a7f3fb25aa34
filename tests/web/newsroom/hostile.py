"""Texts that try to be more than text (S-16), and a database in which every text is one of them."""

import re
from collections.abc import Iterator
from itertools import count, cycle
from typing import Any, TypeAlias

from sqlalchemy import JSON, Column, Engine, String, select, update
from sqlalchemy import Enum as EnumType

from newsletter.clock import utc_now
from newsletter.db import Model, transaction
from newsletter.models import InstallationSetting

Texts: TypeAlias = Iterator[tuple[str, int]]

TEXTS = (
    "<script>alert('hostile')</script>",
    "<img src=x onerror=alert('hostile')>",
    "<svg onload=alert('hostile')>",
    "<svg><script>alert('hostile')</script></svg>",
    "<math><mi//xlink:href='javascript:alert(`hostile`)'>x</math>",
    "<iframe srcdoc='<script>alert(`hostile`)</script>'></iframe>",
    "<iframe src=javascript:alert('hostile')>",
    "<object data=javascript:alert('hostile')>",
    "<embed src=javascript:alert('hostile')>",
    "<a href=javascript:alert('hostile')>hostile</a>",
    "<form action=https://hostile.example><input name=csrf>",
    "<base href=https://hostile.example/>",
    "<meta http-equiv=refresh content='0;url=https://hostile.example'>",
    "<link rel=stylesheet href=https://hostile.example/x.css>",
    "<style>*{display:none}</style>hostile",
    "<body onload=alert('hostile')>",
    "<details open ontoggle=alert('hostile')>",
    "<video><source onerror=alert('hostile')></video>",
    "<input autofocus onfocus=alert('hostile')>",
    "<template><hostile></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(`hostile`)>'>",
    "</title><script>alert('hostile')</script>",
    "</textarea><script>alert('hostile')</script>",
    "</option></select><script>alert('hostile')</script>",
    "</script><script>alert('hostile')</script>",
    "--><script>alert('hostile')</script><!--",
    "]]><script>alert('hostile')</script>",
    '" onmouseover="alert(\'hostile\')" x="',
    "' autofocus onfocus='alert(`hostile`)' x='",
    "\"><script>alert('hostile')</script>",
    "'><img src=x onerror=alert('hostile')>",
    "` onclick=alert('hostile') `",
    "javascript:alert('hostile')",
    "data:text/html,<script>alert('hostile')</script>",
    "&lt;script&gt;alert('hostile')&lt;/script&gt;",
    "&#60;img src=x onerror=alert('hostile')&#62;",
    "%3Cscript%3Ealert('hostile')%3C/script%3E",
    "<div hx-get=/sign-out hx-trigger=load>hostile</div>",
    "<div hx-on::load=alert('hostile')>hostile</div>",
    "{{ 7 * 7 }}{% raise hostile %}${7*7}#{7*7}",
    "%(hostile)s %s %d %n %",
    "\u202ehostile\u202c \u2066hostile\u2069",
    "hostile\u2028alert('hostile')\u2029",
    '=HYPERLINK("https://hostile.example";"hostile")',
    "@SUM(1+1)*hostile",
    "\ufeffhostile\u200b\u0301\u0301\u0301",
    "hostile" * 40,
)

# Read by their meaning, and checked where they are written: keys in addresses, names of zones, colours.
_MEANT = re.compile(
    r".*\.(key|.*_key|slug|zone|time_zone|language|code|rule|reference|hash|.*_hash|sha256|rate|value"
    r"|definition|encoding|delimiter|preset|file_status|outcome|prefix|pattern|fingerprint|last_id"
    r"|sequence|stream|dedupe|selector|domain|sender_domain|host|public_id|tzdata|extension)"
    r"|(route|zone|domain|segment|installation_setting|edition_segment)\.name"
    r"|list\.(accent|backdrop|logo|sender_address|reply_to)|domain\.mx_site|installation\.identity"
    r"|.*\.(scopes|list_ids|mail_ids|data|transports|fingerprints|places|meanings|section_bits)"
    r"|.*\.(outcomes|statuses|undone|excluded)|account\.password_hash|alembic_version\..*"
)
_MEANT_WITHIN = frozenset({"date", "language", "health", "line"})
_EMAIL = re.compile(r".*\.(address|email|new_address|to_address)")
_URL = re.compile(r".*\.(url|form_url|location|href)")
_A_URL = "https://hostile.example/?q=\"><script>alert('hostile')</script>&{number}"
_AN_ADDRESS = "'onfocus='hostile{{{{7*7}}}}%s&lt{number}@readers.example"


def make_hostile(engine: Engine) -> None:
    """Whatever text a stranger or a colleague could have written is one of `TEXTS`."""
    texts = zip(cycle(TEXTS), count(1))
    with transaction(engine) as session:
        session.merge(
            InstallationSetting(
                name="name", value=TEXTS[1], changed_at=utc_now(), changed_by=TEXTS[2]
            )
        )
        session.flush()
        for table in Model.metadata.sorted_tables:
            columns = [each for each in table.columns if _is_free(each)]
            for row in session.execute(select(table)).mappings() if columns else ():
                own = [each == row[each.name] for each in table.primary_key.columns]
                changed = {
                    each.name: _hostile(row[each.name], f"{table.name}.{each.name}", each, texts)
                    for each in columns
                    if row[each.name] is not None
                }
                session.execute(update(table).where(*own).values(changed))


def _is_free(column: Column[Any]) -> bool:
    is_text = isinstance(column.type, String | JSON) and not isinstance(column.type, EnumType)
    is_key = column.primary_key or bool(column.foreign_keys)
    return is_text and not is_key and not _MEANT.fullmatch(f"{column.table.name}.{column.name}")


def _hostile(value: Any, name: str, column: Column[Any], texts: Texts) -> Any:
    if not isinstance(value, str):
        return _within(value, name, texts)
    text, number = next(texts)
    if _EMAIL.fullmatch(name):
        return _AN_ADDRESS.format(number=number)
    if _URL.fullmatch(name):
        return _A_URL.format(number=number)
    return text[: getattr(column.type, "length", None)]


def _within(value: Any, name: str, texts: Texts) -> Any:
    """The same structure, with other texts in it."""
    if isinstance(value, dict):
        return {
            key: each if key in _MEANT_WITHIN else _within(each, f"{name}.{key}", texts)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [_within(each, name, texts) for each in value]
    if not isinstance(value, str):
        return value
    text, number = next(texts)
    return _A_URL.format(number=number) if _URL.fullmatch(name) else text
