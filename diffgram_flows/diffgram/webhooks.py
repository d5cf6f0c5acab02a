"""What a Diffgram server sends to a Webhook action (contract section 13).

A hook is a hint: there is no signature but a token in the body, events come twice or not at all, the dataset filter is
not applied, and an import whose instances failed is announced like a good one. So read the state again before acting.
"""

from __future__ import annotations

import hmac
import json
from datetime import date
from typing import Any

from pydantic import Field

from diffgram_flows.diffgram.records import Record, parse
from diffgram_flows.errors import AuthenticationError, InvalidRequest

_LARGEST = 2**20  # bytes; recorded events have 700
#: The kinds that were received, and what they are about.
RECORDED_KINDS = {
    "input_file_uploaded": "file",
    "task_created": "task",
    "task_completed": "task",
    "task_template_completed": "job",
}


class WebhookEvent(Record):
    """One event. The token is checked when it is parsed, and not kept.

    Attributes:
        id: Of the event; two events about one thing have two ids.
        kind: ``input_file_uploaded``, ``task_created``, ``task_completed``, ``task_template_completed`` (the job is
            done) were received; others exist (``task_review_*``, ``file_copy``, ...) and are taken as they come.
        day: The server tells no time of day.
    """

    id: int = 0
    kind: str
    project_id: int | None = None
    project: str = ""
    directory_id: int | None = None
    job_id: int | None = None
    task_id: int | None = None
    file_id: int | None = None
    input_id: int | None = None
    member_id: int | None = None
    action_id: int | None = None
    workflow_id: int | None = None
    day: date | None = Field(None, validation_alias="time_created")

    @classmethod
    def parse(cls, body: bytes | str, *, token: str) -> WebhookEvent:
        """Read the body of a request, and refuse one that does not hold the token.

        Args:
            body: As it was received.
            token: The one that was set in the action.

        Raises:
            AuthenticationError: The token is missing or another one.
            InvalidRequest: It is no event.
            UnexpectedReply: It is one without a kind, or with fields of other types.
        """
        if not token:
            raise AuthenticationError("No token is set for webhooks.", cure="Set one, here and in the action.")
        data = _as_dict(body)
        given = data.get("token")
        if not isinstance(given, str) or not hmac.compare_digest(given.encode(), token.encode()):
            raise AuthenticationError(
                "A webhook does not carry the right token.", cure="Set the same token here and in the action."
            )
        extra = data.get("extra_metadata")
        project = extra.get("project_string_id") if isinstance(extra, dict) else None
        return parse(cls, {**data, "project": project}, "a webhook")

    @property
    def about(self) -> str:
        """What it is about, such as ``task 3``; the most precise thing that it names."""
        named = {"task": self.task_id, "file": self.file_id, "import": self.input_id, "job": self.job_id}
        return next((f"{name} {number}" for name, number in named.items() if number is not None), "the project")

    @property
    def key(self) -> str:
        """The same for events that say the same, so that one of them is enough.

        Task events come twice within a moment, once with and once without the job. As the server tells the day only,
        a key also stands for a real repetition on that day (a task that is completed again): forget keys after a few
        seconds, and read the state again in any case.
        """
        return f"{self.project_id}:{self.kind}:{self.about}:{self.day}"


def _as_dict(body: bytes | str) -> dict[str, Any]:
    data: object = None
    if len(body) <= _LARGEST:
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            data = None
    if not isinstance(data, dict):
        raise InvalidRequest("A webhook is no JSON object.", cure="Send what the Diffgram server sends, as it is.")
    return data
