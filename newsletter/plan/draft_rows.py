"""How a draft's content stands in a row, be it the working draft's or that of a kept version."""

from dataclasses import asdict

from newsletter.compose.briefing import from_json, to_json
from newsletter.compose.content import DraftContent
from newsletter.compose.findings import SetAside
from newsletter.models import DraftColumns


def read_row(row: DraftColumns) -> DraftContent:
    return DraftContent(
        briefing=from_json(row.briefing),
        subject=row.subject,
        preheader=row.preheader,
        set_aside=tuple(SetAside(**aside) for aside in row.set_aside),
        unread_text=row.unread_text,
        source_text=row.source_text,
    )


def write_row(row: DraftColumns, content: DraftContent) -> None:
    row.briefing = to_json(content.briefing)
    row.subject = content.subject
    row.preheader = content.preheader
    row.set_aside = [asdict(aside) for aside in content.set_aside]
    row.unread_text = content.unread_text
    row.source_text = content.source_text
