"""One headless Chromium, and one sandbox whose content it looks at."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests
from PIL import Image, ImageDraw
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from diffgram_flows.sandbox import SandboxProcess

Json = dict[str, Any]
T = TypeVar("T")
CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,800",
)  # fmt: skip
PATIENCE = 15.0
RED = (230, 0, 0)
BOX = (100, 50, 260, 150)  # of the image "turned.jpg", which is red there
HOSTILE_FILE = "<img src=x onerror=alert(1)>.jpg"
HOSTILE_LABEL = "<script>alert(2)</script>"
HOSTILE_DATASET = "<b onclick=alert(3)>bold</b> & 'quoted'"
HOSTILE_JOB = "<iframe src=javascript:alert(4)>"


def picture(size: tuple[int, int] = (400, 300), *, turned: bool = False) -> bytes:
    """A green image with a red box in it; if turned, it says that it lies on its side."""
    image = Image.new("RGB", size, (20, 120, 60))
    ImageDraw.Draw(image).rectangle((BOX[0], BOX[1], BOX[2] - 1, BOX[3] - 1), fill=RED)
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6 if turned else 1
    image.save(stream, "JPEG", quality=95, exif=exif)
    return stream.getvalue()


@dataclass
class Site:
    """A sandbox and what is in it.

    Attributes:
        datasets: Name to id.
        labels: Name to the id of the label file.
        files: Name to id.
    """

    sandbox: SandboxProcess
    datasets: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)

    def post(self, path: str, body: Json, session: requests.Session | None = None) -> Json:
        keys = None if session else (self.sandbox.client_id, self.sandbox.client_secret)
        url = self.sandbox.url + path.replace("{p}", self.sandbox.project)
        response = (session or requests).post(url, json=body, auth=keys, timeout=30)
        assert response.status_code == 200, response.text
        reply: Json = response.json()
        return reply

    def person(self) -> requests.Session:
        session = requests.Session()
        login = {"email": self.sandbox.email, "password": self.sandbox.password, "mode": "password"}
        self.post("/api/user/login", login, session)
        return session

    def dataset(self, name: str) -> int:
        made = self.post("/api/v1/project/{p}/directory/new", {"nickname": name, "access_type": "project"})
        self.datasets[name] = int(made["new_directory"]["id"])
        return self.datasets[name]

    def label(self, name: str) -> int:
        made = self.post("/api/v1/project/{p}/label/new", {"name": name, "schema_id": 1})
        self.labels[name] = int(made["label"]["id"])
        return self.labels[name]

    def upload(self, dataset: str, name: str, data: bytes = b"", instances: list[Json] | None = None) -> int:
        wanted = json.dumps({"directory_id": self.datasets[dataset], "instance_list": instances or []})
        url = f"{self.sandbox.url}/api/walrus/v1/project/{self.sandbox.project}/input/from_local"
        keys = (self.sandbox.client_id, self.sandbox.client_secret)
        parts: Json = {"file": (name, data or picture()), "json": (None, wanted)}
        response = requests.post(url, files=parts, auth=keys, timeout=30)
        assert response.status_code == 200, response.text
        self.files[name] = int(response.json()["file"]["id"])
        return self.files[name]

    def packet(self, **packet: Any) -> None:
        self.post("/api/walrus/v1/project/{p}/input/packet", packet)

    def instances(self, name: str) -> list[Json]:
        reply = self.post(f"/api/project/{{p}}/file/{self.files[name]}/annotation/list", {})
        found: list[Json] = reply["file_serialized"]["instance_list"]
        return found

    def box(self, label: str, corners: tuple[int, int, int, int] = BOX, **more: Any) -> Json:
        keys = ("x_min", "y_min", "x_max", "y_max")
        return {"type": "box", "label_file_id": self.labels[label], **dict(zip(keys, corners, strict=True)), **more}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with SandboxProcess(tmp_path_factory.mktemp("sandbox"), rate_limits=False, task_delay=0.05) as sandbox:
        made = Site(sandbox)
        _fill(made)
        yield made


def _fill(site: Site) -> None:
    for dataset in ("photos", "many", "empty", HOSTILE_DATASET):
        site.dataset(dataset)
    for label in ("car", "person", HOSTILE_LABEL):
        site.label(label)
    site.upload("photos", "turned.jpg", picture(turned=True), [site.box("car")])
    site.upload("photos", "drawn.jpg")
    site.upload("photos", "bare.jpg")
    site.upload(HOSTILE_DATASET, HOSTILE_FILE, picture(), [site.box(HOSTILE_LABEL)])
    small = picture((280, 160))
    for number in range(30):
        site.upload("many", f"image-{number:02}.jpg", small)
    _draw(site)
    _work(site)
    bad = {"url": "http://127.0.0.1:9/a.jpg?Signature=secret", "type": "image"}
    site.packet(media=bad, directory_id=site.datasets["photos"], original_filename="unreachable.jpg")
    until(lambda: site.post("/api/walrus/v1/project/{p}/input/view/list", {"status_filter": "Failed"})["input_list"])


def _draw(site: Site) -> None:
    """What a person and a machine see in one image: each kind of shape once."""
    car = {"label_file_id": site.labels["car"]}
    with site.person() as person:
        path = f"/api/project/{{p}}/file/{site.files['drawn.jpg']}/annotation/update"
        shapes: list[Json] = [
            site.box("person", (10, 20, 90, 80)),
            {"type": "polygon", **car, "points": [{"x": 200, "y": 10}, {"x": 300, "y": 20}, {"x": 250, "y": 90}]},
            {"type": "line", **car, "points": [{"x": 10, "y": 290}, {"x": 390, "y": 200}]},
            {"type": "point", **car, "points": [{"x": 350, "y": 250}]},
            {"type": "tag", "label_file_id": site.labels["person"]},
        ]
        site.post(path, {"instance_list": shapes}, person)
    seen = {"machine_made": True, "model_ref": "detector", "model_run_ref": "detector@3", "score": 0.87}
    site.packet(file_id=site.files["drawn.jpg"], mode="update", instance_list=[site.box("car", BOX, **seen)])
    until(lambda: len(site.instances("drawn.jpg")) == 6)


def _work(site: Site) -> None:
    """A job with three tasks, one of them complete."""
    attached = {"attached_directories_list": [{"directory_id": site.datasets["photos"], "selected": "sync"}]}
    body = {"label_schema_id": 1, "member_list_ids": [1], "attached_directories_dict": attached, "name": HOSTILE_JOB}
    job_id = site.post("/api/v1/project/{p}/job/new", body)["job"]["id"]
    site.post("/api/v1/job/launch", {"job_id": job_id})
    wanted = {"mode_data": "direct_route", "job_id": job_id, "limit_count": 10}
    until(lambda: len(site.post(f"/api/v1/job/{job_id}/task/list", wanted)["task_list"]) == 3)
    task = site.post(f"/api/v1/job/{job_id}/task/list", wanted)["task_list"][0]
    with site.person() as person:
        site.post(f"/api/v1/task/{task['id']}/complete", {}, person)


def until(check: Callable[[], T]) -> T:
    """Wait for something that is true, and give it."""
    end = time.monotonic() + PATIENCE
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    missing = [str(path) for path in (CHROMIUM, DRIVER) if not path.exists()]
    if missing:
        reason = f"{' and '.join(missing)} missing: apt-get install chromium chromium-driver"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield driver
    driver.quit()


class Page:
    """The sandbox's page as a person uses it."""

    def __init__(self, driver: webdriver.Chrome, site: Site) -> None:
        self.driver = driver
        self.site = site
        self.expected: list[str] = []  # parts of console messages that the test provokes

    def open(self, path: str = "/") -> None:
        self.driver.get(self.site.sandbox.url + path)

    def log_in(self, password: str = "") -> None:
        self.one("#email").clear()
        self.one("#email").send_keys(self.site.sandbox.email)
        self.one("#password").send_keys(password or self.site.sandbox.password)
        self.one("#login-form button").click()

    def enter(self, where: str = "#/") -> None:
        """Log in and go to a part of the page."""
        self.log_in()
        until(lambda: self.all("#datasets a"))
        self.go(where)

    def go(self, where: str) -> None:
        self.driver.execute_script("location.hash = arguments[0]", where)

    def all(self, selector: str) -> list[WebElement]:
        return [each for each in self.driver.find_elements(By.CSS_SELECTOR, selector) if each.is_displayed()]

    def one(self, selector: str) -> WebElement:
        """The visible element of a selector, once it is there."""
        return until(lambda: self.all(selector))[0]

    def text(self, selector: str = "body") -> str:
        return self.one(selector).text

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def resize(self, width: int, height: int = 800) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def complaints(self) -> list[str]:
        """What the console says that the test did not provoke."""
        messages = [str(entry["message"]) for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]
        return [each for each in messages if not any(part in each for part in self.expected)]


@pytest.fixture
def page(chromium: webdriver.Chrome, site: Site) -> Iterator[Page]:
    """The page, with nobody logged in. A complaint in the console fails the test."""
    shown = Page(chromium, site)
    shown.open()
    chromium.delete_all_cookies()
    shown.run("localStorage.clear()")
    shown.resize(1280)
    shown.open()
    shown.one("#email")
    chromium.get_log("browser")  # type: ignore[no-untyped-call]
    yield shown
    assert shown.complaints() == []
