"""What may stand in the fields that people fill in about themselves and about their lists."""

import re

# C0, DEL, C1 and the Unicode line ends: each of them may end a header line somewhere.
CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{2,8})*", re.IGNORECASE | re.ASCII)
_LONGEST_LANGUAGE = 35


def find_language(text: str) -> str | None:
    """The BCP 47 tag that `text` means (`pt_BR` is pt-BR); None when it has no such shape."""
    tag = text.strip().replace("_", "-")
    return tag if len(tag) <= _LONGEST_LANGUAGE and _LANGUAGE.fullmatch(tag) else None
