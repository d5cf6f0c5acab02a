"""What a person sees of datasets, images, jobs and imports."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image, ImageChops
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from servers.browser import BOX, HOSTILE_DATASET, HOSTILE_FILE, HOSTILE_JOB, HOSTILE_LABEL, Page, Site, until

Json = dict[str, Any]
TIMES = "\N{MULTIPLICATION SIGN}"


def place(page: Page, selector: str) -> Json:
    """Where an element is, in pixels of the window."""
    found: Json = page.run("return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()", selector)
    return found


def file_hash(site: Site, dataset: str, name: str) -> str:
    return f"#/dataset/{site.datasets[dataset]}/file/{site.files[name]}"


def test_datasets_show_how_many_files_they_have(page: Page, site: Site) -> None:
    page.enter()
    until(lambda: page.all(".tile"))
    shown = dict(link.text.split("\n") for link in page.all("#datasets a"))
    assert {"Default": "0", "photos": "3", "many": "30", "empty": "0", HOSTILE_DATASET: "1"}.items() <= shown.items()
    assert page.text("h1") == "many"  # the fullest one is what a newcomer sees first
    assert page.text(".project") == "project Sandbox sandbox"
    assert page.one("#datasets a[aria-current]").text.startswith("many")


def test_the_grid_has_pages_and_finds_names(page: Page, site: Site) -> None:
    page.enter(f"#/dataset/{site.datasets['many']}")
    until(lambda: len(page.all(".tile")) == 24)
    assert page.text("#file-count") == "30 files"
    assert page.all(".tile .name")[0].text == "image-29.jpg"
    page.one(".pages a").click()
    until(lambda: len(page.all(".tile")) == 6)
    assert page.text(".pages") == "← Newer\npage 2 of 2\nOlder →"
    page.one("input[type=search]").send_keys("image-07", Keys.ENTER)
    until(lambda: [each.text for each in page.all(".tile .name")] == ["image-07.jpg"])
    page.one("input[type=search]").clear()
    page.one("input[type=search]").send_keys("no such", Keys.ENTER)
    assert "No file matches" in page.text(".empty")


def test_people_and_machines_are_told_apart_in_the_grid(page: Page, site: Site) -> None:
    page.enter(f"#/dataset/{site.datasets['photos']}")
    tile = f".tile[data-file='{site.files['drawn.jpg']}']"
    until(lambda: page.all(f"{tile} g.machine"))
    assert len(page.all(f"{tile} g.human")) == 4  # a tag has no place in the image
    assert page.text(f"{tile} .who.human") == "5"
    assert page.text(f"{tile} .who.machine") == "1"
    until(lambda: page.text(".legend") == "human 6\nmachine 1")
    looks = {
        who: page.run(
            "const s = getComputedStyle(document.querySelector(arguments[0])); return [s.stroke, s.strokeDasharray]",
            f"{tile} g.{who} .shape",
        )
        for who in ("human", "machine")
    }
    assert looks["human"][1] == "none" != looks["machine"][1]
    assert looks["human"][0] != looks["machine"][0]
    page.one("button.human").click()
    assert page.all("g.human") == []
    assert len(page.all("g.machine")) == 1
    page.go(file_hash(site, "photos", "drawn.jpg"))
    until(lambda: page.all(".stage g.machine"))
    assert page.all("g.human") == []  # as chosen before
    page.one("button.human").click()
    assert len(page.all(".stage g.human")) == 4


@pytest.mark.parametrize("width", [1280, 500], ids=["wide", "narrow"])
def test_a_box_lies_over_what_it_is_around(page: Page, site: Site, width: int) -> None:
    """The image is red where its box is; it also claims to be turned, which the server does not look at."""
    page.resize(width)
    page.enter(file_hash(site, "photos", "turned.jpg"))
    page.one("g.human")
    until(lambda: page.run("return document.querySelector('.stage img').naturalWidth"))
    page.run("document.querySelector('.stage').scrollIntoView()")
    stage, box = place(page, ".stage"), place(page, "g.human .shape")
    page.run("document.querySelector('.overlay').style.visibility = 'hidden'")
    image = Image.open(io.BytesIO(page.one(".stage").screenshot_as_png)).convert("RGB")
    reddish = ImageChops.multiply(image.getchannel("R"), ImageChops.invert(image.getchannel("G")))
    red = reddish.point(lambda value: 255 if value > 130 else 0).getbbox()
    assert red is not None
    shown = (box["left"] - stage["left"], box["top"] - stage["top"], box["right"] - stage["left"])
    assert shown == pytest.approx(red[:3], abs=3)
    assert box["bottom"] - stage["top"] == pytest.approx(red[3], abs=3)
    assert box["width"] / box["height"] == pytest.approx((BOX[2] - BOX[0]) / (BOX[3] - BOX[1]), rel=0.03)


def test_an_image_lists_everything_that_is_drawn_on_it(page: Page, site: Site) -> None:
    page.enter(file_hash(site, "photos", "drawn.jpg"))
    rows = until(lambda: page.all("#instances button"))
    texts = [row.text.split("\n") for row in rows]
    assert [text[0] for text in texts] == ["person", "car", "car", "car", "person", "car"]
    assert texts[0][1:] == ["annotator@sandbox.example", f"box · 80 {TIMES} 60 at 10, 20 · just now"]
    assert texts[1][2].startswith(f"polygon · 3 points, 100 {TIMES} 80 at 200, 10")
    assert texts[4][2].startswith("tag · the whole image")
    assert texts[5] == ["car", "0.87", "detector@3", f"box · 160 {TIMES} 100 at 100, 50 · just now"]
    drawn = {kind: len(page.all(f".stage g[data-type={kind}] .shape")) for kind in ("box", "polygon", "line", "point")}
    assert drawn == {"box": 2, "polygon": 1, "line": 1, "point": 1}
    facts = f"400 {TIMES} 300 pixels, file {site.files['drawn.jpg']}"
    assert page.text(".head").split("\n") == ["drawn.jpg", facts, "← Newer", "2 of 3", "Older →"]


def test_a_box_tells_about_itself(page: Page, site: Site) -> None:
    page.enter(f"#/dataset/{site.datasets['photos']}")
    box = page.one(f".tile[data-file='{site.files['drawn.jpg']}'] g.machine .shape")
    ActionChains(page.driver).move_to_element(box).perform()
    told = until(lambda: page.text("#tooltip")).split("\n")
    assert told[:4] == ["car", "machine", "score 0.87", "model run detector@3"]
    box.click()
    chosen = until(lambda: page.all("#instances button[aria-pressed=true]"))[0]
    assert "detector@3" in chosen.text
    assert page.one("g.chosen").get_attribute("data-id") == chosen.get_attribute("data-id")


def test_the_keyboard_is_enough(page: Page, site: Site) -> None:
    page.enter(f"#/dataset/{site.datasets['photos']}")
    page.one(f".tile[data-file='{site.files['drawn.jpg']}'] a").send_keys(Keys.ENTER)
    row = until(lambda: page.all("#instances button"))[0]
    row.send_keys("")  # gives it the focus
    assert page.one("g.chosen").get_attribute("data-id") == row.get_attribute("data-id")
    keys = ActionChains(page.driver)
    until(lambda: page.text(".pages").endswith("Older →"))
    keys.send_keys(Keys.ARROW_RIGHT).perform()
    until(lambda: page.text("h1") == "turned.jpg")
    keys.send_keys(Keys.ESCAPE).perform()
    until(lambda: page.text("h1") == "photos")


def test_jobs_show_their_progress(page: Page, site: Site) -> None:
    page.enter("#/jobs")
    bar = page.one(".bar")
    assert (bar.get_attribute("aria-valuenow"), bar.get_attribute("aria-valuemax")) == ("1", "3")
    until(lambda: abs(place(page, ".bar .completed")["width"] / place(page, ".bar")["width"] - 1 / 3) < 0.01)
    assert "1 of 3 tasks complete (33 %)" in page.text("#jobs")
    assert "from photos" in page.text("#jobs")
    assert page.text("#jobs .badge") == "active"


def test_imports_show_why_they_failed_and_no_signature(page: Page, site: Site) -> None:
    page.enter("#/imports")
    until(lambda: len(page.all("#imports tr")) > 30)
    page.go("#/imports/Failed")
    until(lambda: len(page.all("#imports tr")) == 1)
    row = page.text("#imports tr")
    assert "unreachable.jpg" in row
    assert "Error downloading media. HTTPConnectionPool" in row
    assert "failed" in row
    assert "secret" not in page.run("return document.documentElement.outerHTML")
    page.go("#/imports/Init")
    assert "No import with this status" in page.text(".empty")


def test_names_are_text_and_never_html(page: Page, site: Site) -> None:
    dataset = site.datasets[HOSTILE_DATASET]
    page.enter(f"#/dataset/{dataset}")
    until(lambda: page.all(".tile g"))
    assert page.text("h1") == HOSTILE_DATASET
    assert page.text(".tile .name") == HOSTILE_FILE
    page.go(file_hash(site, HOSTILE_DATASET, HOSTILE_FILE))
    until(lambda: page.all("#instances .label"))
    assert page.text("#instances .label") == HOSTILE_LABEL
    page.go("#/jobs")
    assert page.text("#jobs h2") == HOSTILE_JOB
    page.go("#/imports")
    until(lambda: HOSTILE_FILE in [each.text for each in page.all("#imports .name")])
    assert page.run("return document.querySelectorAll('[onerror], [onclick], iframe, body script').length") == 0


@pytest.mark.parametrize("width", [360, 800])
def test_a_narrow_window_scrolls_in_one_direction_only(page: Page, site: Site, width: int) -> None:
    page.resize(width)
    photos = f"#/dataset/{site.datasets['photos']}"
    page.enter()
    for where, what in [
        (photos, ".tile g"),
        (file_hash(site, "photos", "drawn.jpg"), "#instances button"),
        (f"#/dataset/{site.datasets[HOSTILE_DATASET]}", ".tile g"),
        (f"#/dataset/{site.datasets['empty']}", ".empty"),
        ("#/jobs", ".bar"),
        ("#/imports", "#imports tr"),
    ]:
        page.go(where)
        page.one(what)
        wide = page.run("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide[0] <= wide[1], where
