"""A person at work: opens tasks, keeps what is right, corrects what is wrong, draws what is missing."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import requests

from diffgram_flows.errors import (
    AuthenticationError,
    ServerUnreachable,
    UnexpectedReply,
)
from diffgram_flows.sandbox.comparison import AnnotationTally, Hand, compare
from diffgram_flows.sandbox.truth import TrueThing, Truth

OPEN = ("available", "in_progress", "requires_changes")
PAGE = 200
TIMEOUT = 60.0
PATIENCE = 3  # waits after a 429; opening tasks is limited to one a second


class Annotator:
    """A person with a browser session and knowledge of the truth.

    The same seed makes the same mistakes in a file of the same name, in whatever order the tasks come. It can be
    stopped at any moment: a completed task is not opened again, an unsaved one starts over.

    Args:
        url: Base URL of the server.
        email: Login of the person.
        password: Password of the person.
        truth: File name to the objects in the image.
        error_rate: Probability in [0, 1] that a box which is drawn or corrected is missed or misplaced instead.
        seed: Of the mistakes.
        tolerance_iou: A box of the right label is good if it overlaps the truth by this much or more.
    """

    def __init__(
        self,
        url: str,
        email: str,
        password: str,
        truth: Truth,
        *,
        error_rate: float = 0.0,
        seed: int = 0,
        tolerance_iou: float = 0.75,
    ) -> None:
        self._url = url.rstrip("/")
        self._login = {"email": email, "password": password, "mode": "password"}
        self._truth = truth
        self._error_rate = error_rate
        self._seed = seed
        self._tolerance = tolerance_iou

    def __repr__(self) -> str:
        return f"Annotator({self._url!r}, {self._login['email']!r})"

    def annotate(
        self, job_id: int, limit: int | None = None, *, done: Callable[[AnnotationTally], object] = lambda _: None
    ) -> AnnotationTally:
        """Work on the open tasks of a job, oldest first, at most ``limit`` of them.

        Args:
            job_id: The job.
            limit: How many tasks at most.
            done: Told the tally so far after every task.

        Raises:
            AuthenticationError: The login is refused.
            ConfigurationError: The truth has a label that the job's schema has not.
            ServerUnreachable: The server does not answer.
            UnexpectedReply: The server refuses a step.
        """
        total = AnnotationTally()
        with requests.Session() as session:
            self._log_in(session)
            labels: dict[int, str] = {}
            for task in self._open_tasks(session, job_id):
                if limit is not None and total.images >= limit:
                    break
                truth = self._truth(task["file"]["original_filename"])
                if truth is None:
                    total.skipped += 1
                    continue
                labels = labels or self._labels(session, task["id"])
                total += self._do(session, task, truth, labels)
                done(total)
        return total

    def _do(
        self,
        session: requests.Session,
        task: dict[str, Any],
        truth: Sequence[TrueThing],
        labels: dict[int, str],
    ) -> AnnotationTally:
        file = self._post(session, f"/api/v1/task/{task['id']}/annotation/list", {})["file_serialized"]
        chance = random.Random(f"{self._seed}:{file['original_filename']}")  # noqa: S311 - mistakes, not secrets
        width, height = file["image"]["width"], file["image"]["height"]
        hand = Hand(labels, chance, self._error_rate, width, height)
        sheet = compare(file["instance_list"], truth, hand, self._tolerance)
        if sheet.instances:
            body = {"instance_list": sheet.instances, "and_complete": True}
            self._post(session, f"/api/v1/task/{task['id']}/annotation/update", body)
        else:  # an empty list is not a save (contract section 10)
            self._post(session, f"/api/v1/task/{task['id']}/complete", {})
        sheet.tally.images = 1
        return sheet.tally

    def _open_tasks(self, session: requests.Session, job_id: int) -> Iterator[dict[str, Any]]:
        found: dict[int, dict[str, Any]] = {}
        for status in OPEN:  # all pages first: completing tasks shortens the list that is being paged through
            page = 0
            while True:
                wanted = {"mode_data": "direct_route", "job_id": job_id, "status": status}
                body = wanted | {"limit_count": PAGE, "page_number": page}
                tasks = self._post(session, f"/api/v1/job/{job_id}/task/list", body)["task_list"]
                found |= {task["id"]: task for task in tasks if task["status"] == status}
                page += 1
                if len(tasks) < PAGE:
                    break
        return iter([found[task_id] for task_id in sorted(found)])

    def _labels(self, session: requests.Session, task_id: int) -> dict[int, str]:
        body = {"task_id": task_id, "builder_or_trainer_mode": "builder"}
        listed = self._post(session, "/api/v1/task", body)["task"]["label_dict"]["label_file_list_serialized"]
        return {each["id"]: each["label"]["name"] for each in listed}

    def _log_in(self, session: requests.Session) -> None:
        response = self._send(session, "/api/user/login", self._login)
        if response.status_code != 200:
            raise AuthenticationError(
                f"{self._url} refused the login of {self._login['email']}.",
                cure="Give the email and password of a person in the project.",
                status=response.status_code,
            )

    def _post(self, session: requests.Session, path: str, body: dict[str, Any]) -> dict[str, Any]:
        response = self._send(session, path, body)
        for _ in range(PATIENCE):
            if response.status_code != 429:
                break
            time.sleep(float(response.headers.get("Retry-After", 1)))
            response = self._send(session, path, body)
        try:
            reply = response.json()
        except requests.JSONDecodeError:
            reply = None
        if response.status_code != 200 or not isinstance(reply, dict):
            raise UnexpectedReply(
                f"{path} answered {response.status_code} to the annotator: {response.text[:300]}",
                cure="Check that the job exists and that the person may work on it.",
                status=response.status_code,
            )
        return reply

    def _send(self, session: requests.Session, path: str, body: dict[str, Any]) -> requests.Response:
        try:
            return session.post(self._url + path, json=body, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise ServerUnreachable(
                f"{self._url}{path} did not answer: {type(error).__name__}.", cure="Check that the server runs."
            ) from None
