"""The office's imports: a file on its way into a list, from its columns to the report of its lines."""

import io
from collections.abc import Iterable, Iterator
from typing import IO, Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.audience.import_archives import (
    LARGEST_FILE,
    is_zip,
    members_of,
    read_member,
    unpacked,
)
from newsletter.audience.import_report import report_of, write_report
from newsletter.audience.import_undo import start_undoing, undone_of
from newsletter.audience.import_work import DEAD_AFTER
from newsletter.audience.importing import (
    cancel_import,
    forget_file,
    get_import,
    is_open,
    list_imports,
    receive_file,
    resume_import,
    start_import,
)
from newsletter.audience.lists import all_lists
from newsletter.db import reading
from newsletter.errors import InputError
from newsletter.models import Import, ImportState, MailingList
from newsletter.web.newsroom import import_plan
from newsletter.web.newsroom.pages import said
from newsletter.web.newsroom.screens import LARGEST_FORM, Screen
from newsletter.web.newsroom.visit import Visit
from newsletter.words import Words

PAGE = 30
PROBLEMS_SHOWN = 100
LONGEST_UPLOAD = LARGEST_FILE + LARGEST_FORM
UNDER_WAY = (ImportState.WAITING, ImportState.RUNNING, ImportState.UNDOING)

# Nothing here touches the visit's own session before the functions of `importing` are through: they
# commit on their own, step by step, and SQLite has one writer.


def index(visit: Visit) -> Response:
    return _index(visit, chosen=visit.query("list"))


def receive(visit: Visit) -> Response:
    """Keep the file; of a ZIP, each file in it as an import of its own."""
    upload = visit.form.files.get("file")
    wanted = visit.form.get("list")
    with reading(visit.deps.engine) as session:
        mailing_list = next(
            (each for each in _own_lists(visit, session) if each.slug == wanted), None
        )
    if upload is None or mailing_list is None:
        return _index(visit, chosen=wanted, wrong=Words("Choose a list, and a file to import."))
    try:
        made = [
            receive_file(
                visit.deps.engine,
                parts,
                list_id=mailing_list.id,
                file_name=name,
                by=visit.by,
                now=visit.now,
            )
            for name, parts in _files(upload.file, upload.filename or "file")
        ]
    except InputError as error:
        return _index(visit, chosen=wanted, wrong=said(error))
    for import_id in made:
        visit.audit("import file received", f"import {import_id}", list_id=mailing_list.id)
    if len(made) > 1:
        notice = Words(
            "The ZIP has {count} files. Open each, and say who is in it.", count=len(made)
        )
        return visit.go("/office/imports", notice)
    return visit.go(f"/office/imports/{made[0]}")


def show(visit: Visit) -> Response:
    job = _job(visit, visit.session)
    mailing_list = visit.session.get_one(MailingList, job.list_id)
    if is_open(visit.session, job) and (job.state is ImportState.RECEIVED or visit.query("again")):
        return import_plan.page(visit, job, mailing_list)
    report = report_of(visit.session, job.id)
    return visit.page(
        "office/import.html",
        job=job,
        list=mailing_list,
        report=report,
        problems=report.problems[:PROBLEMS_SHOWN],
        may_start=is_open(visit.session, job),
        may_undo=not job.is_dry_run and job.started_at is not None,
        **_progress(visit, job),
    )


def progress(visit: Visit) -> Response:
    """The part of the page that shows how far it is; at the end the whole page comes anew."""
    job = _job(visit, visit.session)
    response = visit.page("office/_import_progress.html", job=job, **_progress(visit, job))
    if job.state not in UNDER_WAY:
        response.headers["HX-Refresh"] = "true"
    return response


def start(visit: Visit) -> Response:
    """Look again, try it, or import; what was typed stays until it can be read."""
    with reading(visit.deps.engine) as session:
        job = _job(visit, session)
        mailing_list = session.get_one(MailingList, job.list_id)
    plan = import_plan.plan_of(visit)
    if visit.form.has("look"):
        return import_plan.page(visit, job, mailing_list, plan)
    try:
        import_plan.require_basis(visit)
        started = start_import(visit.deps.engine, job.id, plan)
    except InputError as error:
        return import_plan.page(visit, job, mailing_list, plan, error=error)
    return _begun(visit, started)


def follow(visit: Visit) -> Response:
    """After a dry run: the same again, and now for good."""
    with reading(visit.deps.engine) as session:
        job = _job(visit, session)
    started = start_import(visit.deps.engine, job.id, import_plan.plan_again(job))
    return _begun(visit, started)


def cancel(visit: Visit) -> Response:
    job = _checked(visit)
    if job.state is ImportState.DONE:
        forget_file(visit.deps.engine, job.id)
    else:
        cancel_import(visit.deps.engine, job.id, now=visit.now)
    visit.audit("import cancelled", f"import {job.id}", list_id=job.list_id)
    if job.started_at is None or job.is_dry_run:
        return visit.go(
            "/office/imports", "{file} is not imported, and not kept.", file=job.file_name
        )
    notice = Words("The import is stopped. What came in stays, until you undo it.")
    return visit.go(f"/office/imports/{job.id}", notice)


def resume(visit: Visit) -> Response:
    job = _checked(visit)
    resume_import(visit.deps.engine, job.id, is_background=True)
    visit.audit("import resumed", f"import {job.id}", list_id=job.list_id)
    return visit.go(f"/office/imports/{job.id}", "A worker goes on where it was broken off.")


def undo(visit: Visit) -> Response:
    job = _checked(visit)
    start_undoing(visit.deps.engine, job.id, by=visit.by, now=visit.now, is_background=True)
    visit.audit("import undone", f"import {job.id}", list_id=job.list_id)
    return visit.go(f"/office/imports/{job.id}")


def report_file(visit: Visit) -> Response:
    """What became of each line, as CSV."""
    job = _job(visit, visit.session)
    text = io.StringIO()
    write_report(visit.session, job.id, text)
    name = f"import-{job.id}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text.getvalue(), media_type="text/csv", headers=headers)


def _own_lists(visit: Visit, session: Session) -> list[MailingList]:
    return [each for each in all_lists(session) if visit.may(Role.ADMIN, [each.id])]


def _job(visit: Visit, session: Session) -> Import:
    job = get_import(session, visit.number("id"))
    visit.require(Role.ADMIN, [job.list_id])
    return job


def _checked(visit: Visit) -> Import:
    with reading(visit.deps.engine) as session:
        return _job(visit, session)


def _begun(visit: Visit, job: Import) -> Response:
    visit.audit(
        "import tried" if job.is_dry_run else "import started",
        f"import {job.id}",
        list_id=job.list_id,
        file=job.file_name,
        sha256=job.sha256,
        basis=job.basis,
    )
    return visit.go(f"/office/imports/{job.id}")


def _files(stream: IO[bytes], name: str) -> Iterator[tuple[str, Iterable[bytes]]]:
    if not is_zip(stream):
        yield name, unpacked(stream)
        return
    for member in members_of(stream):
        yield f"{name}: {member.name}", read_member(stream, member.name)


def _index(visit: Visit, *, chosen: str, wrong: str = "") -> Response:
    """`wrong` says why an upload was refused."""
    lists = _own_lists(visit, visit.session)
    jobs = list_imports(
        visit.session,
        before=visit.query_number("before"),
        limit=PAGE + 1,
        list_ids=[each.id for each in lists],
    )
    return visit.page(
        "office/imports.html",
        status=422 if wrong else 200,
        jobs=jobs[:PAGE],
        older=jobs[PAGE - 1].id if len(jobs) > PAGE else None,
        names={each.id: each.name for each in lists},
        choices=[(each.slug, each.name) for each in lists if each.retired_at is None],
        chosen=chosen,
        wrong=wrong,
    )


def _progress(visit: Visit, job: Import) -> dict[str, Any]:
    """`share` of the file that was read, in percent; `is_stuck`: nobody seems to be at it."""
    seen = job.alive_at or job.started_at or job.created_at
    return {
        "undone": undone_of(job),
        "is_under_way": job.state in UNDER_WAY,
        "share": 100 * job.bytes_read // job.size_bytes if job.size_bytes else 0,
        "is_stuck": job.state in UNDER_WAY and seen < visit.now - DEAD_AFTER,
        "ahead": _ahead(visit.session, job),
    }


def _ahead(session: Session, job: Import) -> int:
    """How many others a waiting one waits for."""
    if job.state is not ImportState.WAITING:
        return 0
    earlier = select(Import.id).where(Import.state.in_(UNDER_WAY), Import.id < job.id)
    return len(session.scalars(earlier).all())


SCREENS = (
    Screen(
        "/office/imports",
        get=index,
        post=receive,
        role=Role.ADMIN,
        largest_form=LONGEST_UPLOAD,
    ),
    Screen("/office/imports/{id}", get=show, role=Role.ADMIN),
    Screen("/office/imports/{id}/progress", get=progress, role=Role.ADMIN),
    Screen("/office/imports/{id}/start", post=start, role=Role.ADMIN),
    Screen("/office/imports/{id}/follow", post=follow, role=Role.ADMIN),
    Screen("/office/imports/{id}/cancel", post=cancel, role=Role.ADMIN),
    Screen("/office/imports/{id}/resume", post=resume, role=Role.ADMIN),
    Screen("/office/imports/{id}/undo", post=undo, role=Role.ADMIN),
    Screen("/office/imports/{id}/report", get=report_file, role=Role.ADMIN),
)
