"""One's rights, on behalf of a person who asked: all that is known of them, and its erasure."""

from typing import IO, Annotated, Any

from fastapi import APIRouter, Security
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from newsletter.accounts.scopes import Scope
from newsletter.audience.privacy import erase, personal_data
from newsletter.report.personal_data import write_archive
from newsletter.web.api.body import JsonRoute
from newsletter.web.api.calls import Call, Outcome, may_read, may_write
from newsletter.web.api.fields import SubscriberInPath
from newsletter.web.api.files import download

router = APIRouter(prefix="/subscribers", tags=["privacy"], route_class=JsonRoute)

Reader = Annotated[Call, Security(may_read, scopes=[Scope.PRIVACY_READ])]
Writer = Annotated[Call, Security(may_write, scopes=[Scope.PRIVACY_WRITE])]

_ARCHIVE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "All of it as JSON, and a CSV for each subject.",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class ErasedShown(BaseModel):
    subscriber_id: int
    mails: int = Field(description="Single mails that waited, or were kept after they were sent.")
    deliveries: int = Field(description="They count in the figures on, and are nobody's.")
    under_way: list[int] = Field(
        description="Editions that keep the person's number until they are over."
    )
    open_imports: list[int] = Field(
        description="Imports whose file is still needed, and may name the person."
    )


@router.get("/{subscriber_id}/personal-data", response_class=Response, responses=_ARCHIVE)
def export_person(call: Reader, subscriber_id: SubscriberInPath) -> Response:
    """All that is known of somebody, as a ZIP (GDPR articles 15 and 20)."""
    call.require_every_list()
    with call.reading() as session:
        data = personal_data(session, subscriber_id)

    def write(file: IO[bytes]) -> None:
        write_archive(data, file, now=call.now)

    return download(write, media_type="application/zip", name=f"subscriber-{subscriber_id}.zip")


@router.delete("/{subscriber_id}", response_model=ErasedShown)
def erase_person(call: Writer, subscriber_id: SubscriberInPath) -> Response:
    """Forget somebody for good (GDPR article 17): their address is suppressed, as a hash, and all
    else goes.
    """
    call.require_every_list()

    def work(session: Session) -> Outcome:
        erased = erase(session, subscriber_id, source=call.by, now=call.now)
        return Outcome(
            ErasedShown(
                subscriber_id=erased.subscriber_id,
                mails=erased.mails,
                deliveries=erased.deliveries,
                under_way=list(erased.under_way),
                open_imports=list(erased.open_imports),
            )
        )

    return call.write(work)
