"""Users, sessions, projects, members and API credentials."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from diffgram_flows.sandbox import clock
from diffgram_flows.sandbox.store import directories, labels

LEVELS = ("admin", "Editor", "Viewer", "annotator")


@dataclass(frozen=True, slots=True)
class Credential:
    """An API credential as it is told once, when it is made."""

    client_id: str
    client_secret: str


def new_user(cx: sqlite3.Connection, email: str, password: str) -> int:
    """Add a person and return the user id."""
    salt = secrets.token_bytes(16)
    user_id = cx.execute(
        "INSERT INTO user (email, salt, password) VALUES (?, ?, ?)", (email, salt, _hashed(password, salt))
    ).lastrowid
    cx.execute("INSERT INTO member (user_id) VALUES (?)", (user_id,))
    return int(user_id or 0)


def set_password(cx: sqlite3.Connection, user_id: int, password: str) -> None:
    """Give a person another password."""
    salt = secrets.token_bytes(16)
    cx.execute("UPDATE user SET salt = ?, password = ? WHERE id = ?", (salt, _hashed(password, salt), user_id))


def check_password(cx: sqlite3.Connection, email: str, password: str) -> sqlite3.Row | None:
    """The user with this email, if the password is right."""
    user: sqlite3.Row | None = cx.execute("SELECT * FROM user WHERE email = ?", (email,)).fetchone()
    if user is None or not hmac.compare_digest(user["password"], _hashed(password, user["salt"])):
        return None
    return user


def new_session(cx: sqlite3.Connection, user_id: int) -> str:
    """Log a user in and return the token for the cookie."""
    token = secrets.token_urlsafe(32)
    cx.execute("INSERT INTO session VALUES (?, ?, ?)", (_digest(token), user_id, time.time()))
    return token


def end_session(cx: sqlite3.Connection, token: str) -> None:
    """Make a token worthless."""
    cx.execute("DELETE FROM session WHERE token_hash = ?", (_digest(token),))


def session_user(cx: sqlite3.Connection, token: str) -> sqlite3.Row | None:
    """The user whose session this token is."""
    user: sqlite3.Row | None = cx.execute(
        "SELECT user.*, member.id AS member_id FROM session JOIN user ON user.id = session.user_id "
        "JOIN member ON member.user_id = user.id WHERE token_hash = ?",
        (_digest(token),),
    ).fetchone()
    return user


def new_project(cx: sqlite3.Connection, user_id: int, string_id: str, name: str) -> int:
    """Add a project with its default dataset and schema; the user becomes its admin."""
    member_id = cx.execute("SELECT id FROM member WHERE user_id = ?", (user_id,)).fetchone()["id"]
    cursor = cx.execute(
        "INSERT INTO project (string_id, name, user_id, created) VALUES (?, ?, ?, ?)",
        (string_id, name, user_id, time.time()),
    )
    project_id = int(cursor.lastrowid or 0)
    directory_id = directories.new(cx, project_id, "Default")
    cx.execute("UPDATE project SET directory_id = ?, directories_cached = 1 WHERE id = ?", (directory_id, project_id))
    labels.new_schema(cx, project_id, "Default Schema", member_id, is_default=True)
    _join(cx, project_id, member_id, "admin")
    cx.execute("UPDATE user SET project_id = ? WHERE id = ?", (project_id, user_id))
    return project_id


def _join(cx: sqlite3.Connection, project_id: int, member_id: int, level: str) -> None:
    # Lists of members are cached: a name that is given later does not show (recorded as project_view).
    cx.execute(
        "INSERT INTO role (project_id, member_id, level, first_name, last_name) SELECT ?, member.id, ?, first_name, "
        "last_name FROM member LEFT JOIN user ON user.id = user_id WHERE member.id = ?",
        (project_id, level, member_id),
    )


def project(cx: sqlite3.Connection, string_id: object) -> sqlite3.Row | None:
    """The project of this name."""
    row: sqlite3.Row | None = cx.execute("SELECT * FROM project WHERE string_id = ?", (str(string_id),)).fetchone()
    return row


def new_credential(
    cx: sqlite3.Connection, project_id: int, level: str, wanted: Credential | None = None
) -> tuple[Credential, float]:
    """Add an API credential (a member of its own) and return it with the moment of its making."""
    made = wanted or Credential("LIVE__" + secrets.token_hex(10), secrets.token_urlsafe(40))
    now = time.time()
    member_id = cx.execute("INSERT INTO member (user_id) VALUES (NULL)").lastrowid
    _join(cx, project_id, int(member_id or 0), level)
    cx.execute(
        "INSERT INTO credential VALUES (?, ?, ?, ?, ?)",
        (made.client_id, _digest(made.client_secret), project_id, member_id, now),
    )
    return made, now


def credential_member(cx: sqlite3.Connection, project_id: int, given: Credential) -> int | None:
    """The member id of a credential of this project, if its secret is right."""
    row = cx.execute(
        "SELECT * FROM credential WHERE client_id = ? AND project_id = ?", (given.client_id, project_id)
    ).fetchone()
    if row is None or not hmac.compare_digest(row["secret_hash"], _digest(given.client_secret)):
        return None
    return int(row["member_id"])


def level_of(cx: sqlite3.Connection, project_id: int, member_id: int) -> str | None:
    """The role of a member in a project."""
    row = cx.execute(
        "SELECT level FROM role WHERE project_id = ? AND member_id = ?", (project_id, member_id)
    ).fetchone()
    return None if row is None else str(row["level"])


def is_member(cx: sqlite3.Connection, project_id: int, member_id: object) -> bool:
    """Whether this is the id of a person who works in the project."""
    found = cx.execute(
        "SELECT 1 FROM role JOIN member ON member.id = role.member_id "
        "WHERE project_id = ? AND member.id = ? AND member.user_id IS NOT NULL",
        (project_id, str(member_id)),
    ).fetchone()
    return found is not None


def user_reply(cx: sqlite3.Connection, user: sqlite3.Row) -> dict[str, Any]:
    """A user as the recorded server shows one."""
    member_id = cx.execute("SELECT id FROM member WHERE user_id = ?", (user["id"],)).fetchone()["id"]
    roles = cx.execute(
        "SELECT string_id, level FROM role JOIN project ON project.id = role.project_id WHERE member_id = ?",
        (member_id,),
    ).fetchall()
    current = cx.execute("SELECT * FROM project WHERE id = ?", (user["project_id"],)).fetchone()
    return {
        "api": {
            "api_actions": False,
            "api_enabled_builder": bool(user["builder"]) or None,
            "api_enabled_trainer": None,
        },
        "current_project_string_id": current and current["string_id"],
        "email": user["email"],
        "first_name": user["first_name"],
        "follow_ers_count": 0,
        "follow_ing_count": 0,
        "id": user["id"],
        "is_super_admin": user["id"] == 1,
        "last_builder_or_trainer_mode": "builder" if user["builder"] else None,
        "last_name": user["last_name"],
        "member_id": member_id,
        "member_kind": "human",
        "otp_enabled": None,
        "permissions_projects": {role["string_id"]: [role["level"]] for role in roles},
        "profile_image_thumb_url": None,
        "profile_image_url": None,
        "project_current": current and project_reply(cx, current),
        "security_email_verified": True,
        "trainer": {"show_first_time_message": True},
        "user_id": user["id"],
        "username": str(user["id"]),
    }


def project_reply(cx: sqlite3.Connection, project: sqlite3.Row, *, cached: bool = True) -> dict[str, Any]:
    """A project with its datasets and the people in it; ``cached`` False is the reply to its creation."""
    members = {"from_cache": True, "regenerate_datetime": clock.iso(project["created"])}
    # A new dataset makes the caches stale; the next view of the project fills them again and says so (recorded).
    datasets = members | {"from_cache": bool(project["directories_cached"])}
    caches = {"directory_list": datasets, "member_list": members, "preview_file_list": datasets}
    people = cx.execute(
        "SELECT user.id, email, member.id AS member_id, role.* FROM role JOIN member ON member.id = role.member_id "
        "JOIN user ON user.id = member.user_id WHERE role.project_id = ? ORDER BY member.id",
        (project["id"],),
    ).fetchall()
    return {
        "api_billing_enabled": None,
        "cache_info": caches if cached else None,
        "credit_balance": None,
        "default_report_dashboard_id": None,
        "directory_list": [
            directories.short_reply(row) for row in reversed(directories.listed(cx, project["id"], "", 10_000))
        ],
        "highest_ai_version_number": 0,
        "id": project["id"],
        "images_count": True,
        "is_public": None,
        "labels_count": True,
        "member_list": [_member_reply(person) for person in people],
        "name": project["name"],
        "preview_file_list": [],
        "project_string_id": project["string_id"],
        "readme": None,
        "settings": None,
        "settings_input_video_fps": 30,
        "star_count": 0,
        "time_created": clock.iso(project["created"]),
        "user_primary": {"username": str(project["user_id"])},
    }


def _member_reply(person: sqlite3.Row) -> dict[str, Any]:
    return {
        "email": person["email"],
        "first_name": person["first_name"],
        "id": person["id"],
        "last_name": person["last_name"],
        "member_id": person["member_id"],
        "member_kind": "human",
        "permission_level": [person["level"]],
        "profile_image_thumb_url": None,
        "username": str(person["id"]),
    }


def _hashed(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**13, r=8, p=1)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
