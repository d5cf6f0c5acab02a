"""What a credential may do, as Diffgram answers it.

Diffgram tells nobody's level: a credential's own one is null in ``user_permission_level``. But it looks at the level
before it looks at what is asked. So it is asked for something that is an Editor's to ask and cannot be done: a dataset
without a name and without an access type. Viewers get a 403, Editors and admins the list of what is missing (recordings
``viewer_writes`` and ``directory_new_missing_name`` of the contract), and nothing has come of it.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import (
    AuthenticationError,
    ConfigurationError,
    DiffgramError,
    InvalidRequest,
    ProjectNotFound,
    UnexpectedReply,
)
from diffgram_flows.service.refusals import RETRY, Refusal
from diffgram_flows.service.settings import ServiceSettings

_REMEMBERED = 512  # credentials, good and bad ones
_BAD_SECONDS = 15.0  # a credential that was made a moment ago is soon believed
_AT_ONCE = 4  # questions to Diffgram
_MISSING = {"access_type", "nickname"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is let in.

    Attributes:
        client_id, client_secret: What to ask Diffgram with on the caller's behalf; empty if there is nothing.
    """

    client_id: str = ""
    client_secret: str = field(default="", repr=False)


class Client(DiffgramClient):
    """A client that can be asked what its credential may do."""

    def check_editor(self) -> None:
        """Make sure that the level of the credential is Editor or admin. Changes nothing.

        Raises:
            AuthenticationError: It is another one.
            UnexpectedReply: The server does not answer as recorded, so nobody knows.
        """
        about = "the level of the credential"
        try:
            self._ask(self._path("directory/new"), about, {})
        except InvalidRequest as error:
            if error.fields.keys() >= _MISSING:
                return
        raise UnexpectedReply(
            f"The reply about {about} is not as recorded.",
            cure="Check that the server is a Diffgram of the recorded version.",
        )


class Answers:
    """What Diffgram has answered to one question about credentials, remembered for a while.

    Args:
        question: A call that raises an ``AuthenticationError`` where the answer is no.
        settings: Which Diffgram, and for how long its word is believed.
    """

    def __init__(self, question: Callable[[Client], object], settings: ServiceSettings) -> None:
        self._question = question
        self._settings = settings
        self._known: OrderedDict[bytes, tuple[float, bool]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[bool]] = {}
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def get(self, key: bytes, caller: Caller) -> bool:
        """The answer about a caller.

        Args:
            key: By what the caller is remembered; not the secret itself.
            caller: With whose credential Diffgram is asked.

        Raises:
            Refusal: 503, Diffgram is away or answers neither yes nor no.
        """
        until, good = self._known.get(key, (0.0, False))
        if until > time.monotonic():
            return good
        task = self._asking.get(key)  # many requests of one caller ask once
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._ask(key, caller))
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(task)

    async def _ask(self, key: bytes, caller: Caller) -> bool:
        async with self._at_once:
            good = await asyncio.to_thread(self._ask_diffgram, caller)
        self._known[key] = (time.monotonic() + (self._settings.key_seconds if good else _BAD_SECONDS), good)
        self._known.move_to_end(key)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return good

    def _ask_diffgram(self, caller: Caller) -> bool:
        settings = self._settings
        try:
            with Client(
                settings.diffgram_url,
                settings.project,
                caller.client_id,
                caller.client_secret,
                timeout=10,
                retries=1,
            ) as client:
                self._question(client)
        except (AuthenticationError, ProjectNotFound, ConfigurationError):
            return False
        except DiffgramError as error:
            raise Refusal(503, type(error).__name__, error.what, "Try again soon.", RETRY) from error
        return True
