"""The first start: a person, a project and an admin credential, told in ``credentials.json``."""

from __future__ import annotations

import os
import secrets
import sqlite3
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import orjson

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.sandbox.database import Database
from diffgram_flows.sandbox.store import accounts
from diffgram_flows.sandbox.store.accounts import Credential

FILE = "credentials.json"


@dataclass(frozen=True, slots=True)
class Keys:
    """How to reach a sandbox and to enter it, as a machine and as a person."""

    url: str = ""
    project: str = "sandbox"
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    email: str = "annotator@sandbox.example"
    password: str = field(default="", repr=False)

    @classmethod
    def read(cls, folder: Path) -> Keys | None:
        """The keys of a data folder, None before its first start.

        Raises:
            ConfigurationError: The file was damaged.
        """
        path = folder / FILE
        try:
            return cls(**orjson.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (TypeError, orjson.JSONDecodeError) as error:
            raise ConfigurationError(
                f"{path} does not hold the keys of a sandbox.",
                cure="Delete the file: new keys are made at the next start.",
            ) from error

    def write(self, folder: Path) -> None:
        """Write the keys for the owner's eyes only."""
        partial = folder / f"{FILE}.{secrets.token_hex(4)}"
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2))
        os.replace(partial, folder / FILE)


def bootstrap(database: Database, folder: Path) -> Keys:
    """Make sure that the keys of a data folder exist, as a file and in the database.

    The file is written first and each row is added only if it is missing, so a crash in between leaves no half.
    """
    keys = Keys.read(folder)
    if keys is None:
        keys = replace(
            Keys(),
            client_id="LIVE__" + secrets.token_hex(10),
            client_secret=secrets.token_urlsafe(40),
            password=secrets.token_urlsafe(16),
        )
        keys.write(folder)
    with database.write() as cx:
        _ensure(cx, keys)
    return keys


def _ensure(cx: sqlite3.Connection, keys: Keys) -> None:
    user = cx.execute("SELECT id FROM user WHERE email = ?", (keys.email,)).fetchone()
    user_id = user["id"] if user is not None else accounts.new_user(cx, keys.email, keys.password)
    if accounts.check_password(cx, keys.email, keys.password) is None:
        accounts.set_password(cx, user_id, keys.password)
    project = accounts.project(cx, keys.project)
    project_id = project["id"] if project is not None else accounts.new_project(cx, user_id, keys.project, "Sandbox")
    given = Credential(keys.client_id, keys.client_secret)
    if accounts.credential_member(cx, project_id, given) is None:
        accounts.new_credential(cx, project_id, "admin", given)
