"""Who may order a training: the levels of Diffgram's credentials, as a sandbox knows them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests
from servers.brain_service import serving
from servers.scripted import Answer, ScriptedServer
from service.conftest import Client

from diffgram_flows.brains import Registry
from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.sandbox import SandboxProcess
from diffgram_flows.service import ServiceSettings

OFFICIAL = "/api/walrus/project/{project}/machine_learning/training/run"
RECORDINGS = Path(__file__).parents[1] / "contract" / "recordings"
NEEDED = "Only a credential with the level Editor or admin of the project may order a training."
Issue = Callable[[str], tuple[str, str]]


@pytest.fixture(scope="module")
def issue(sandbox: SandboxProcess) -> Iterator[Issue]:
    """A function that makes an API credential of a level, as an admin of the project does in the browser."""
    with requests.Session() as browser:
        login = {"email": sandbox.email, "password": sandbox.password, "mode": "password"}
        browser.post(f"{sandbox.url}/api/user/login", json=login, timeout=30).raise_for_status()

        def make(level: str) -> tuple[str, str]:
            path = f"/api/v1/project/{sandbox.project}/auth/api/new"
            reply = browser.post(
                f"{sandbox.url}{path}", json={"permission_level": level, "is_live": True}, timeout=30
            ).json()["auth"]
            return reply["client_id"], reply["client_secret"]

        yield make


@pytest.fixture
def empty(sandbox: SandboxProcess) -> Iterator[int]:
    """A dataset with nothing in it; afterwards no other one has come into being."""
    with DiffgramClient(sandbox.url, sandbox.project, sandbox.client_id, sandbox.client_secret) as client:
        directory = client.ensure_directory("nothing to learn from")
        before = client.directories()
        yield directory.id
        assert client.directories() == before


@pytest.mark.parametrize("level", ["Viewer", "annotator"])
def test_who_may_only_look_sees_and_trains_nothing(
    service: str, settings: ServiceSettings, issue: Issue, picture: bytes, empty: int, level: str
) -> None:
    client = Client(service, issue(level))
    assert client.predict(picture).status_code == 200
    order = {"directory_id": empty, "options": {"steps": 1}}
    reply = client.post("/v1/brains/forbidden/train", json=order)
    assert (reply.status_code, reply.json()["error"]["what"]) == (403, NEEDED)
    official = {"ai_name": "forbidden", "directory_id": empty}
    reply = client.post(OFFICIAL.format(project=settings.project), json=official)
    assert reply.status_code == 403
    assert reply.json()["error"].startswith(f"403 Forbidden: {NEEDED}")
    assert not list(settings.workdir.glob("trainings/forbidden*"))


@pytest.mark.parametrize("level", ["Editor", "admin"])
def test_who_may_edit_trains(
    registry: Registry, open_settings: Callable[..., ServiceSettings], issue: Issue, empty: int, level: str
) -> None:
    settings = open_settings(trainings=2)
    with serving(registry, settings) as url:
        client = Client(url, issue(level))
        order = {"directory_id": empty, "options": {"steps": 1}}
        reply = client.post(f"/v1/brains/by-{level}/train", json=order)
        assert (reply.status_code, reply.json()["state"]) == (202, "queued"), reply.text
        official = {"ai_name": f"sdk-by-{level}", "directory_id": empty, "training_options": {"steps": 1}}
        reply = client.post(OFFICIAL.format(project=settings.project), json=official)
        assert (reply.status_code, reply.json()["ai"]["name"]) == (200, f"sdk-by-{level}"), reply.text
    assert {path.stem for path in settings.workdir.glob(f"trainings/*by-{level}.log")} == {
        f"by-{level}",
        f"sdk-by-{level}",
    }


def test_what_the_service_was_given_trains_by_its_level_too(
    registry: Registry, open_settings: Callable[..., ServiceSettings], issue: Issue, empty: int
) -> None:
    order = {"directory_id": empty, "options": {"steps": 1}}

    def ask(url: str, **more: object) -> requests.Response:
        return requests.post(f"{url}/v1/brains/given/train", json=order, timeout=30, **more)  # type: ignore[arg-type]

    token = {"Authorization": "Bearer a token for tests"}
    for level, status in (("Viewer", 403), ("Editor", 202)):
        own = issue(level)
        with serving(registry, open_settings(client_id=own[0], client_secret=own[1])) as url:
            assert ask(url, headers=token).status_code == status
            if status == 403:  # a second order would meet the first one's training
                assert ask(url, auth=own).json()["error"]["what"] == NEEDED
    with serving(registry, open_settings()) as url:
        reply = ask(url, headers=token)
    assert (reply.status_code, "knows no Diffgram to learn from" in reply.text) == (400, True)


def recorded(file: str, name: str) -> Answer:
    """What a real Diffgram has answered."""
    exchanges = json.loads((RECORDINGS / f"{file}.json").read_text())
    reply = next(each["response"] for each in exchanges if each.get("name") == name)
    return Answer(reply["json"], status=reply["status"])


VIEWER = recorded("01_auth", "viewer_writes")
EDITOR = recorded("02_project_schema", "directory_new_missing_name")


@pytest.fixture
def diffgram() -> Iterator[ScriptedServer]:
    with closing(ScriptedServer()) as running:
        yield running


@pytest.fixture
def asking(
    registry: Registry, open_settings: Callable[..., ServiceSettings], diffgram: ScriptedServer
) -> Iterator[Callable[[Answer], requests.Response]]:
    """A function that orders a training which is refused for its options, if it is not for its level."""
    with serving(registry, open_settings(diffgram_url=diffgram.url, client_id="own", client_secret="key")) as url:

        def ask(answer: Answer) -> requests.Response:
            diffgram.script[:] = [answer]
            return Client(url, ("own", "key")).post("/v1/brains/asked/train", json={"options": {"stepz": 1}})

        yield ask


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        pytest.param(VIEWER, 403, NEEDED, id="Viewer"),
        pytest.param(
            recorded("02_project_schema", "directory_new_missing_name"), 400, "no option 'stepz'", id="Editor"
        ),
    ],
)
def test_diffgram_is_asked_once(
    asking: Callable[[Answer], requests.Response],
    diffgram: ScriptedServer,
    settings: ServiceSettings,
    answer: Answer,
    status: int,
    said: str,
) -> None:
    for _ in range(2):
        reply = asking(answer)
        assert (reply.status_code, said in reply.json()["error"]["what"]) == (status, True)
    assert [(sent.path, sent.json) for sent in diffgram.sent] == [
        (f"/api/v1/project/{settings.project}/directory/new", {})
    ]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer({"new_directory": {"id": 7}}), id="good"),
        pytest.param(Answer({"log": {"error": {"input": "Expecting json in request"}}}, status=400), id="other reason"),
        pytest.param(Answer(content=b"<html>", status=400), id="a page"),
        pytest.param(Answer({"error": "404 Not Found"}, status=404), id="not found"),
        pytest.param(Answer(reset=True), id="away"),
    ],
)
def test_nobody_guesses_a_level(
    asking: Callable[[Answer], requests.Response], diffgram: ScriptedServer, answer: Answer
) -> None:
    assert asking(answer).status_code == 503
    assert asking(EDITOR).status_code == 400  # asked again
