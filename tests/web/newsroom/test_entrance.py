"""Who gets in, and what a browser is told: the same for every screen (S-07, S-08, S-09)."""

from newsletter.models import Role
from tests.site import Site


def test_who_is_not_signed_in_is_asked_to_and_comes_back_to_the_page(site: Site) -> None:
    answer = site.client.get("/newsroom?list=morning")

    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=%2Fnewsroom%3Flist%3Dmorning"


def test_a_part_of_a_page_sends_the_whole_page_to_the_sign_in(site: Site) -> None:
    answer = site.client.get("/newsroom", headers={"HX-Request": "true"})

    assert answer.status_code == 401
    assert answer.headers["hx-redirect"].startswith("/sign-in")


def test_a_page_for_staff_is_kept_by_no_cache_framed_by_nobody_and_runs_our_scripts_only(
    site: Site,
) -> None:
    answer = site.member(Role.VIEWER).get("/newsroom")

    assert answer.headers["cache-control"] == "no-store"
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_a_static_file_named_by_its_content_is_kept_for_good(site: Site) -> None:
    kept = site.client.get("/static/newsroom/newsroom.css?v=123")
    asked_again = site.client.get("/static/newsroom/newsroom.css")

    assert "immutable" in kept.headers["cache-control"]
    assert kept.headers["content-encoding"] == "gzip"
    assert "cache-control" not in asked_again.headers
