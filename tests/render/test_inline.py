import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import premailer
import pytest

from newsletter.errors import RenderError
from newsletter.render.inline import inline


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """The address of a real server, and the paths it was asked for."""
    paths: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"p { color: #ff0000 }")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", paths
    server.shutdown()
    thread.join()
    server.server_close()


def page(css: str = "p { color: #123456 }", body: str = "<p>Text</p>", head: str = "") -> str:
    return (
        f"<!DOCTYPE html>\n<html><head>{head}<style>{css}</style></head><body>{body}</body></html>"
    )


def test_the_style_sheet_becomes_style_attributes() -> None:
    html = inline(page())

    assert html.startswith("<!DOCTYPE html>")
    assert '<p style="color:#123456">Text</p>' in html


def test_a_block_marked_ignore_stays_byte_for_byte() -> None:
    block = "@media screen and (max-width:599px) { .pad { padding: 0 !important; } }"

    html = inline(page(head=f'<style data-premailer="ignore">{block}</style>'))

    assert f"<style>{block}</style>" in html


@pytest.mark.parametrize("css", ['@import url("{}/a.css");', "p {{ background: url({}/a.png) }}"])
def test_a_style_that_would_load_something_is_refused(
    asked: tuple[str, list[str]], css: str
) -> None:
    address, paths = asked

    with pytest.raises(RenderError, match="may not load anything"):
        inline(page(css.format(address)))

    assert paths == []


@pytest.mark.parametrize(
    "head", ['<link rel="stylesheet" href="{}/a.css">', '<base href="{}/">', '<LINK href="{}">']
)
def test_a_tag_that_would_load_something_is_refused(
    asked: tuple[str, list[str]], head: str
) -> None:
    address, paths = asked

    with pytest.raises(RenderError, match="may not load anything"):
        inline(page(head=head.format(address)))

    assert paths == []


def test_premailer_itself_can_reach_no_server(asked: tuple[str, list[str]]) -> None:
    address, paths = asked

    premailer.Premailer(
        page(f'@import url("{address}/a.css");'), allow_network=False, disable_validation=True
    ).transform()

    assert paths == []


def test_premailer_itself_can_read_no_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.css"
    secret.write_text("p { color: #abcdef }", encoding="utf-8")

    html = premailer.Premailer(
        page(f'@import url("{secret.as_uri()}");'), allow_network=False, disable_validation=True
    ).transform()

    assert "abcdef" not in html


def test_an_editor_may_write_about_imports_and_links() -> None:
    html = inline(page(body="<p>@import url(x), expression(1) and &lt;link&gt;</p>"))

    assert "@import url(x)" in html


@pytest.mark.parametrize("css", ["p { color: rgb(0 0 0/50%) }", "p { color }", "p {{ color: red }"])
def test_a_style_sheet_that_is_not_understood_is_an_error_each_time(css: str) -> None:
    for _ in range(2):
        with pytest.raises(RenderError, match="not understood"):
            inline(page(css))


def test_text_lost_in_too_deep_a_nesting_is_an_error() -> None:
    deep = "<div>" * 400 + "lost" + "</div>" * 400

    with pytest.raises(RenderError, match="the inliner kept"):
        inline(page(body=deep))


def test_a_lower_case_doctype_is_an_error() -> None:
    with pytest.raises(RenderError, match="DOCTYPE"):
        inline(page().replace("DOCTYPE", "doctype"))


@pytest.mark.parametrize("character", ["\0", "\x07", "\x85", "\ud800", "\uffff"])
def test_a_character_that_no_page_may_hold_is_named(character: str) -> None:
    with pytest.raises(RenderError, match=rf"U\+{ord(character):04X}, after '.*Ada"):
        inline(page(body=f"<p>Ada{character}</p>"))
