"""The form that says how a received file is read, who is in it, and why they may be written to."""

from starlette.responses import Response

from newsletter.audience.attributes import all_attributes
from newsletter.audience.import_columns import ATTRIBUTE, IGNORE, MEANINGS, MOST_COLUMNS
from newsletter.audience.importing import NO_PRESET, ImportPlan, Inspection, inspect_file
from newsletter.audience.presets import presets
from newsletter.db import reading
from newsletter.errors import InputError
from newsletter.models import Import, LegalBasis, MailingList
from newsletter.web.newsroom.edits import mistakes
from newsletter.web.newsroom.visit import Visit

COLUMN, TITLE = "column-", "title-"
AS_SHOWN = "shown-as"
TAB = "tab"
ENCODINGS = ("utf-8", "utf-16", "cp1252", "iso-8859-15", "cp1251", "gb18030", "big5", "shift_jis")
FIELDS = ("basis", "note", "status", "tags", "overwrites", "encoding", "delimiter", "preset")


def page(
    visit: Visit,
    job: Import,
    mailing_list: MailingList,
    plan: ImportPlan | None = None,
    *,
    error: InputError | None = None,
) -> Response:
    """With `plan`, as somebody has filled it in; where that cannot be read, as it was found."""
    shown = plan or plan_again(job)
    try:
        found = inspect_file(visit.deps.engine, job.id, shown)
    except InputError as mistake:
        error = error or mistake
        found = inspect_file(visit.deps.engine, job.id, _AS_FOUND)
    with reading(visit.deps.engine) as session:
        keys = [each.key for each in all_attributes(session) if each.retired_at is None]
    return visit.page(
        "office/import_plan.html",
        status=422 if error else 200,
        job=job,
        list=mailing_list,
        plan=shown,
        basis=visit.form.get("basis") or job.basis or "",
        found=found,
        encoding=_encoding(found),
        delimiter=_delimiter(found),
        columns=[
            (number, each, _typed(visit, number) if error else each.meaning)
            for number, each in enumerate(found.columns)
        ],
        shown_as=_shown_as(found),
        meanings=[*MEANINGS, *(ATTRIBUTE + key for key in keys), IGNORE],
        bases=list(LegalBasis),
        encoding_options=[(each, each) for each in sorted({*ENCODINGS, _encoding(found)})],
        presets=tuple((key, each.name) for key, each in presets().items()),
        is_by_file=found.preset is not None and presets()[found.preset].status_is_the_file,
        may_overwrite=visit.identity.list_ids is None,
        wrong=dict(mistakes(error, FIELDS)) if error else {},
    )


def require_basis(visit: Visit) -> None:
    """Raises `InputError` where nobody has said by what right these people are written to (T-32)."""
    if visit.form.get("basis") not in list(LegalBasis):
        raise InputError("say why these people may be written to", field="basis")


def plan_of(visit: Visit) -> ImportPlan:
    """What the form says. Columns count only as they were shown: read otherwise, they are others."""
    form = visit.form
    as_now = _key(form.get("encoding"), form.get("delimiter"), form.get("preset"))
    is_as_shown = form.get(AS_SHOWN) == as_now
    basis = form.get("basis")
    return ImportPlan(
        basis=LegalBasis(basis) if basis in list(LegalBasis) else LegalBasis.CONSENT,
        note=form.get("note"),
        columns=_columns(visit) if is_as_shown else {},
        preset=form.get("preset") or None,
        encoding=form.get("encoding") or None,
        delimiter=form.get("delimiter") or None,
        status=form.get("status") or None,
        tags=[tag for each in form.get("tags").split(",") if (tag := each.strip())],
        overwrites=form.has("overwrites"),
        is_narrow=visit.identity.list_ids is not None,
        is_dry_run=form.has("try"),
        is_background=True,
    )


def plan_again(job: Import) -> ImportPlan:
    """What the file was recognised as; after a dry run, what that went by."""
    return ImportPlan(
        basis=job.basis or LegalBasis.CONSENT,
        note=job.note,
        columns=dict(zip(job.titles, job.meanings, strict=False)),
        preset=job.preset or NO_PRESET,
        status=job.file_status,
        tags=job.tags,
        overwrites=job.overwrites,
        is_narrow=job.is_narrow,
        is_background=True,
    )


_AS_FOUND = ImportPlan(basis=LegalBasis.CONSENT)


def _columns(visit: Visit) -> dict[str, str]:
    """By title what it was said to mean."""
    titles = [visit.form.text(f"{TITLE}{number}") for number in range(MOST_COLUMNS)]
    return {
        title: meaning
        for number, title in enumerate(titles)
        if visit.form.has(f"{TITLE}{number}") and (meaning := _typed(visit, number))
    }


def _typed(visit: Visit, number: int) -> str:
    return visit.form.get(f"{COLUMN}{number}")


def _encoding(found: Inspection) -> str:
    return found.encoding.removesuffix("-sig")


def _delimiter(found: Inspection) -> str:
    return TAB if found.delimiter == "\t" else found.delimiter


def _shown_as(found: Inspection) -> str:
    return _key(_encoding(found), _delimiter(found), found.preset or NO_PRESET)


def _key(*parts: str) -> str:
    return " ".join(parts)
