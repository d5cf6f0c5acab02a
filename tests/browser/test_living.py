"""The page over time: who may look, what arrives, what goes wrong."""

from __future__ import annotations

from pathlib import Path

import requests
from servers.browser import HOSTILE_DATASET, Page, Site, picture, until

from diffgram_flows.sandbox import SandboxProcess


def test_a_wrong_password_is_said_to_be_wrong(page: Page) -> None:
    page.expected = ["/api/user/login"]  # a 400 is shown in the console as well
    page.log_in("not the password")
    assert page.text("#login-problem") == "Invalid email or password."
    assert page.all("#datasets a") == []
    page.one("#password").clear()
    page.log_in()
    until(lambda: page.all("#datasets a"))
    assert page.all("#login-form") == []


def test_the_password_stays_nowhere(page: Page, site: Site) -> None:
    page.enter()
    kept = page.run("return JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])")
    assert site.sandbox.password not in kept
    assert page.run("return document.getElementById('password').value") == ""
    assert page.run("return document.cookie") == ""  # the session is for no script


def test_a_reload_stays_where_it_was(page: Page, site: Site) -> None:
    page.enter(f"#/dataset/{site.datasets['photos']}")
    until(lambda: len(page.all(".tile")) == 3)
    page.driver.refresh()
    until(lambda: len(page.all(".tile")) == 3)
    assert page.text("#person") == site.sandbox.email


def test_logging_out_ends_the_session(page: Page, site: Site) -> None:
    page.enter()
    token = page.driver.get_cookie("session")
    assert token is not None
    page.one("#log-out").click()
    page.one("#email")
    url = f"{site.sandbox.url}/api/project/{site.sandbox.project}/view"
    assert requests.get(url, cookies={"session": str(token["value"])}, timeout=30).status_code in (401, 403)


def test_an_ended_session_asks_for_the_login_again(page: Page, site: Site) -> None:
    page.expected = ["401 (Unauthorized)"]
    page.enter(f"#/dataset/{site.datasets['photos']}")
    until(lambda: page.all(".tile"))
    page.driver.delete_all_cookies()
    until(lambda: page.all("#login-problem"))
    assert page.text("#login-problem") == "Your session has ended. Log in again."
    page.log_in()
    until(lambda: len(page.all(".tile")) == 3)  # and back to where one was


def test_new_files_appear_and_nothing_flickers(page: Page, site: Site) -> None:
    page.enter(f"#/dataset/{site.dataset('growing')}")
    assert "--dataset growing" in page.text(".empty")
    site.upload("growing", "first.jpg", picture())
    until(lambda: page.all(".tile"))
    assert page.all(".empty") == []
    page.run("window.before = document.querySelector('.tile'); window.source = before.querySelector('img').src")
    assert page.text("#file-count") == "1 file"
    site.upload("growing", "second.jpg", picture())
    until(lambda: len(page.all(".tile")) == 2)
    assert page.run("return before.isConnected && before.querySelector('img').src === source")
    assert page.text("#file-count") == "2 files"


def test_a_server_that_goes_away_is_waited_for(page: Page, site: Site) -> None:
    page.expected = ["ERR_CONNECTION_REFUSED"]
    page.enter(f"#/dataset/{site.datasets['photos']}")
    until(lambda: page.all(".tile"))
    site.sandbox.stop()
    try:
        until(lambda: page.all("#trouble"))
        assert "does not answer" in page.text("#trouble")
        assert len(page.all(".tile")) == 3  # what was there stays
    finally:
        site.sandbox.start()
    until(lambda: not page.all("#trouble"))
    assert page.text("#live") == "live"


def test_what_is_gone_is_said_to_be_gone(page: Page, site: Site) -> None:
    page.expected = ["400 (Bad Request)"]
    page.enter(f"#/dataset/{site.datasets['photos']}/file/999999")
    until(lambda: page.all(".empty"))
    assert "The sandbox refused this" in page.text(".empty")


def test_no_foreign_script_runs_and_nothing_is_loaded_from_elsewhere(page: Page, site: Site) -> None:
    page.expected = ["Content Security Policy"]
    page.enter(f"#/dataset/{site.datasets[HOSTILE_DATASET]}")
    until(lambda: page.all(".tile g"))
    page.run("const s = document.createElement('script'); s.textContent = 'window.evil = 1'; document.body.append(s)")
    assert page.run("return window.evil") is None
    loaded = page.run("return performance.getEntriesByType('resource').map((each) => each.name)")
    assert all(name.startswith(site.sandbox.url) for name in loaded)


def test_the_page_and_its_parts_have_strict_headers(site: Site) -> None:
    for path in ("/", "/page/main.js", "/page/style.css", "/page/icon.svg"):
        reply = requests.get(site.sandbox.url + path, timeout=30)
        assert reply.status_code == 200
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        policy = reply.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    for path in ("/page/nothing.js", "/page/..%2Fserver.py", "/page/__init__.py"):
        assert requests.get(site.sandbox.url + path, timeout=30).status_code in (404, 500)


def test_a_newcomer_is_told_what_to_do_first(page: Page, tmp_path: Path) -> None:
    with SandboxProcess(tmp_path / "new", rate_limits=False) as sandbox:
        fresh = Page(page.driver, Site(sandbox))
        fresh.open()
        fresh.log_in()
        assert "No dataset has files yet" in fresh.text(".empty")
        assert "diffgram-flows import" in fresh.text(".empty pre")
        fresh.go("#/jobs")
        until(lambda: "No job yet" in fresh.text(".empty"))
        fresh.go("#/imports")
        until(lambda: "Nothing was imported yet" in fresh.text(".empty"))
        fresh.site.dataset("photos")
        fresh.site.upload("photos", "first.jpg")
        fresh.go("#/")
        until(lambda: fresh.all(".tile"))
        assert fresh.text("h1") == "photos"
        fresh.driver.get("about:blank")  # nothing asks the server any more when it stops
