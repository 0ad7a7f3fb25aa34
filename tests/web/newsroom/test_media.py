"""S-21: pictures are uploaded by editors, and served so that nothing of them ever runs."""

import io

import pytest
from PIL import Image
from sqlalchemy import Engine, select

from newsletter.db import reading
from newsletter.models import Media, Role
from tests.site import Member, Site, text_of


def a_jpeg() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((900, 600), 80).convert("RGB").save(out, "JPEG")
    return out.getvalue()


def upload(member: Member, content: bytes, name: str = "harbour.jpg") -> int:
    files = {"file": (name, content, "image/jpeg")}
    return member.post("/newsroom/media", files=files).status_code


def only(engine: Engine) -> Media:
    with reading(engine) as session:
        return session.scalars(select(Media)).one()


def test_a_picture_is_uploaded_and_served(site: Site, engine: Engine) -> None:
    writer = site.member(Role.WRITER)

    status = upload(writer, a_jpeg())

    media = only(engine)
    site.client.cookies.clear()
    served = site.client.get(f"/media/{media.key}.jpg")
    assert status == 303
    assert (served.status_code, served.headers["content-type"]) == (200, "image/jpeg")
    assert served.headers["x-content-type-options"] == "nosniff"
    assert served.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert served.headers["content-disposition"] == "inline"
    assert "immutable" in served.headers["cache-control"]
    assert "set-cookie" not in served.headers
    assert "harbour.jpg" in writer.get("/newsroom/media").text


def test_a_picture_that_a_browser_has_is_not_sent_again(site: Site, engine: Engine) -> None:
    upload(site.member(Role.WRITER), a_jpeg())
    url = f"/media/{only(engine).key}.jpg"

    again = site.client.get(url, headers={"If-None-Match": site.client.get(url).headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "name",
    [
        "x.jpg",
        "0" * 40 + ".jpg",
        "0" * 40 + ".svg",
        "0" * 40,
        "..%2f..%2fetc%2fpasswd",
        "%00.png",
    ],
)
def test_there_is_no_other_picture(site: Site, name: str) -> None:
    assert site.client.get(f"/media/{name}").status_code == 404


def test_a_file_that_is_no_picture_is_refused_in_words(site: Site) -> None:
    writer = site.member(Role.WRITER)
    files = {"file": ("x.svg", b"<svg onload=alert(1)>", "image/svg+xml")}

    answer = writer.post("/newsroom/media", files=files)
    nothing = writer.post("/newsroom/media")

    assert answer.status_code == nothing.status_code == 422
    assert "This is no picture that we can read" in text_of(answer)
    assert "Choose a picture first" in text_of(nothing)


def test_too_much_is_refused_before_it_is_read(site: Site) -> None:
    assert upload(site.member(Role.WRITER), bytes(12 * 1024 * 1024)) == 413


def test_a_name_stays_words(site: Site, engine: Engine) -> None:
    writer = site.member(Role.WRITER)

    upload(writer, a_jpeg(), name='"><img src=x onerror=alert(1)>.jpg')

    assert "<img src=x" not in writer.get("/newsroom/media").text


def test_a_viewer_uploads_nothing(site: Site) -> None:
    assert upload(site.member(Role.VIEWER), a_jpeg()) == 403
