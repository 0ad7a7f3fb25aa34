"""Where somebody goes on to once they are signed in: a page of this site, whatever the address says (S-20)."""

import re
from urllib.parse import unquote, urlencode

HOME = "/newsroom/today"

_OURS = re.compile(r"/(?:newsroom|office|account)(?:[/?][\x21-\x5b\x5d-\x7e]*)?", re.ASCII)
_MOST_DECODED = 4
_LONGEST = 1_000


def next_page(wanted: str) -> str:
    """`wanted` if it is one of our pages, written plainly; else the first page."""
    return wanted if _is_ours(wanted) else HOME


def with_next(url: str, wanted: str) -> str:
    """The address of a step on the way there."""
    page = next_page(wanted)
    return url if page == HOME else f"{url}?{urlencode({'next': page})}"


def _is_ours(wanted: str) -> bool:
    if len(wanted) > _LONGEST or not _OURS.fullmatch(wanted):
        return False
    path = wanted.partition("?")[0]
    for _ in range(_MOST_DECODED):
        if "//" in path or "\\" in path or "/.." in path or not path.isprintable():
            return False
        path = unquote(path)
    return path == unquote(path)
