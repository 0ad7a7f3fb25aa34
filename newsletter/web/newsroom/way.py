"""An edition's way through the newsroom: its steps, which are done, and the one that comes next."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.compose.content import DraftContent
from newsletter.compose.findings import Finding, Severity
from newsletter.models import CheckOverride, CorrectionMail, Edition, EditionState, MailingList
from newsletter.plan.approval import blocking, check_revision
from newsletter.plan.drafts import draft_of
from newsletter.plan.editions import has_correction, is_out
from newsletter.plan.four_eyes import is_own_work, needs_second_person
from newsletter.plan.marks import Marks, has_arrived, marks_of
from newsletter.plan.stored import lists_of
from newsletter.web.newsroom.visit import Visit
from newsletter.words import Words

_OPEN = (EditionState.DRAFT, EditionState.IN_REVIEW)
_TIMED = (EditionState.SCHEDULED, EditionState.SENDING, EditionState.PAUSED, EditionState.SENT)
UNTITLED = Words("Untitled edition")


@dataclass(frozen=True, slots=True)
class Step:
    key: str
    name: str
    url: str
    is_done: bool
    is_open: bool
    """Whether there is anything to see yet."""


@dataclass(frozen=True, slots=True)
class NextStep:
    label: Words
    url: str
    said: Words


@dataclass
class Way:
    """How an edition stands, for one visitor; what costs a look is looked at once."""

    visit: Visit
    edition: Edition

    @cached_property
    def lists(self) -> Sequence[MailingList]:
        return lists_of(self.visit.session, self.edition.id)

    @cached_property
    def content(self) -> DraftContent:
        return draft_of(self.visit.session, self.edition.id).content

    @property
    def title(self) -> str:
        return self.content.subject_line.strip() or UNTITLED

    @cached_property
    def marks(self) -> Marks:
        return marks_of(self.visit.session, self.edition)

    @property
    def is_out(self) -> bool:
        return is_out(self.edition)

    @property
    def is_held(self) -> bool:
        """Whether the sending that was asked for can still be pulled back."""
        until = self.edition.held_until
        is_scheduled = self.edition.state is EditionState.SCHEDULED
        return is_scheduled and until is not None and until > self.visit.now

    @property
    def has_correction(self) -> bool:
        """One that waits for its approval, cut or still being written."""
        return has_correction(self.edition) or (self.is_out and self.marks.is_ahead)

    @property
    def is_checked(self) -> bool:
        """Whether the findings are those of what the draft says."""
        return bool(self.edition.revision) and not self.marks.is_ahead

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Of the newest revision; none before there is one."""
        if not self.edition.revision:
            return ()
        visit = self.visit
        return check_revision(visit.session, self.edition, settings=visit.settings, now=visit.now)

    @property
    def errors(self) -> list[Finding]:
        return [each for each in self.findings if each.severity is Severity.ERROR]

    @cached_property
    def blocking(self) -> list[Finding]:
        """Errors that no admin has let pass."""
        return blocking(self.visit.session, self.edition, self.findings)

    @cached_property
    def override(self) -> CheckOverride | None:
        key = (self.edition.id, self.edition.revision)
        return self.visit.session.get(CheckOverride, key)

    @cached_property
    def needs_second_person(self) -> bool:
        return needs_second_person(self.visit.session, self.lists)

    @cached_property
    def is_own_work(self) -> bool:
        """Whether the visitor wrote or submitted what stands there."""
        if not self.edition.revision:
            return False
        return is_own_work(self.visit.session, self.edition, [self.visit.by])

    @property
    def may_approve(self) -> bool:
        return self.may(Role.EDITOR) and not (self.needs_second_person and self.is_own_work)

    @cached_property
    def is_tested(self) -> bool:
        test = self.marks.test
        return test is not None and has_arrived(self.visit.session, test)

    def may(self, role: Role | str) -> bool:
        return self.visit.may(Role(role), [each.id for each in self.lists])

    @cached_property
    def correction_mail(self) -> CorrectionMail | None:
        """What it corrects, if it is a correction mail."""
        return self.visit.session.get(CorrectionMail, self.edition.id)

    @property
    def steps(self) -> list[Step]:
        state, url = self.edition.state, self.url
        is_approved = self.edition.approved_revision is not None
        has_stories = any(True for _ in self.content.briefing.stories)
        is_under_way = state in (EditionState.SENDING, EditionState.PAUSED, EditionState.SENT)
        return [
            Step("compose", Words("Compose"), f"{url}/compose", has_stories, is_open=True),
            Step("checks", Words("Checks"), f"{url}/checks", self._passes(), has_stories),
            Step("test", Words("Test"), f"{url}/test", self.is_tested, has_stories),
            Step("review", Words("Review"), f"{url}/review", is_approved, has_stories),
            Step("approve", Words("Approve"), f"{url}/review#approve", is_approved, has_stories),
            Step("schedule", Words("Schedule"), f"{url}/schedule", state in _TIMED, is_approved),
            Step(
                "sending",
                Words("Sending"),
                f"{url}/sending",
                state is EditionState.SENT,
                is_under_way or self.edition.started_at is not None,
            ),
            Step(
                "report",
                Words("Report"),
                f"{url}/report",
                is_done=False,
                is_open=self.edition.started_at is not None,
            ),
        ]

    @property
    def url(self) -> str:
        return f"/newsroom/editions/{self.edition.id}"

    @property
    def next_step(self) -> NextStep | None:
        """The one button that leads on; None for who can do nothing here."""
        if self.has_correction:
            return self._next(
                Words("Review the correction"), "correct", Words("A correction waits.")
            )
        match self.edition.state:
            case EditionState.DRAFT | EditionState.IN_REVIEW:
                return self._next_of_draft()
            case EditionState.APPROVED:
                said = Words("It is approved. Nothing is sent before you say when.")
                return self._next(Words("Choose when it goes out"), "schedule", said, Role.EDITOR)
            case EditionState.SCHEDULED:
                return self._next(
                    Words("See when it goes out"), "schedule", Words("It is scheduled.")
                )
            case EditionState.SENDING:
                return self._next(
                    Words("Watch it being sent"), "sending", Words("It is on its way.")
                )
            case EditionState.PAUSED:
                return self._next(Words("Go on or cancel"), "sending", Words("It is paused."))
            case EditionState.SENT:
                return self._next(
                    Words("Read the report"), "report", Words("Everybody has been mailed.")
                )
            case EditionState.CANCELLED:
                return None

    def _next_of_draft(self) -> NextStep | None:
        is_writer = self.may(Role.WRITER)
        if not any(True for _ in self.content.briefing.stories):
            return self._next(
                Words("Write it"), "compose", Words("It has no story yet."), Role.WRITER
            )
        if not self.is_checked:
            said = Words("It has changed since it was last checked.")
            return self._next(Words("Check it"), "checks", said, Role.WRITER)
        if self.blocking:
            said = Words("{count} errors keep it from being approved.", count=len(self.blocking))
            if len(self.blocking) == 1:
                said = Words("1 error keeps it from being approved.")
            return self._next(Words("Mend what the checks found"), "checks", said, Role.WRITER)
        if self.marks.test is None and is_writer:
            said = Words("Nobody has seen it in an inbox yet.")
            return self._next(Words("Send a test"), "test", said, Role.WRITER)
        if self.may_approve:
            said = Words("It is ready to be looked at and approved.")
            return self._next(Words("Look at it and approve"), "review", said)
        if self.edition.state is EditionState.DRAFT and is_writer:
            said = Words("Somebody else has to approve it.")
            return self._next(Words("Ask for a review"), "review", said)
        return self._next(
            Words("Read it and comment"), "review", Words("It waits for its approval.")
        )

    def _next(
        self, label: Words, page: str, said: Words, role: Role = Role.VIEWER
    ) -> NextStep | None:
        return NextStep(label, f"{self.url}/{page}", said) if self.may(role) else None

    def _passes(self) -> bool:
        return self.is_checked and not self.blocking


def way_of(visit: Visit, role: Role) -> Way:
    """Of the edition that the address names. Raises as `Visit.edition`."""
    return Way(visit, visit.edition(role))


def edition_page(
    way: Way, template: str, here: str, *, status: int = 200, **context: object
) -> Response:
    """A page that stands in the edition's frame; `here` is the key of its step."""
    return way.visit.page(
        f"edition/{template}",
        status=status,
        **{"way": way, "edition": way.edition, "here": here, **context},
    )
