"""An import as the server sees it, and what its texts mean (contract sections 5 and 6)."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AliasChoices, AliasPath, BeforeValidator, Field

from diffgram_flows.diffgram.records import Record, ServerTime
from diffgram_flows.diffgram.redaction import cleaned

_MAX_REASON = 500  # characters; the server puts whole stack traces there
_EXISTING = re.compile(r"Existing ID is:\s*(\d+)")
# What the server says, and what helps; the first that fits counts.
_CURES = tuple(
    (re.compile(said, re.IGNORECASE), cure)
    for said, cure in (
        ("Already Exists", "Use the file that is there, or another name."),
        ("label_file", "Give the label file ids of this project (resolve_labels makes them of names)."),
        ("Must be an int|__round__|less than 1 pixels", "Correct the coordinates: whole pixels, min below max."),
        ("not in \\[", "Use one of the types that it names."),
        ("cannot be None", "Leave empty instances out."),
        (r"\((?:401|403)\)|expired|ExpiredToken", "Sign the URL again, for longer, and import it again."),
        (r"\(404\)", "Check that the object is still there, and import it again."),
        ("Did not start with http", "Give a URL of http or https."),
        (
            "Invalid (?:extension|media type|file type)",
            "Give a name with the right extension, and the right media type.",
        ),
        ("Could not open", "Check that it is an image that is not corrupt."),
        ("downloading|Max retries|no valid response", "Check that the Diffgram server reaches the host of the URL."),
    )
)
_REFUSED_BY_STORE = re.compile(r"no valid response \((?:401|403)\)|\bexpired|ExpiredToken", re.IGNORECASE)


def _instance_list(value: object) -> object:
    """The server wraps the list that was sent once more: ``{"list": [...]}``."""
    return value.get("list") or [] if isinstance(value, dict) else value


def _as_dict(value: object) -> object:
    return value if isinstance(value, dict) else {}


class ImportRow(Record):
    """One import. Signed query strings are cut out of its texts when it is made.

    Attributes:
        id: 0 where the server refused before it made a row.
        status: init, local_processing_queue, processing, downloaded, success, failed, retrying, ...
        percent_complete: 0 to 100; jumps, and says nothing about success.
        file_id: The file; a failed import has one, too, if only its instances were wrong.
        instances: The instances as they were sent.
    """

    id: int = 0
    status: str = ""
    status_text: Annotated[str, BeforeValidator(cleaned)] = ""
    percent_complete: float = 0.0
    file_id: int | None = None
    original_filename: str = ""
    mode: str = ""
    directory_id: int | None = Field(None, validation_alias=AliasChoices("directory_id", AliasPath("directory", "id")))
    created_time: ServerTime = None
    time_updated: ServerTime = None
    archived: bool = False
    retry_count: int = 0
    update_log: Annotated[dict[str, Any], BeforeValidator(_as_dict), BeforeValidator(cleaned)] = Field(
        default_factory=dict
    )
    instances: Annotated[list[dict[str, Any]], BeforeValidator(_instance_list)] = Field(
        default_factory=list, validation_alias=AliasChoices("instances", "instance_list"), repr=False
    )

    @property
    def finished(self) -> bool:
        """Whether the server will not touch it again by itself. Rows of a killed worker never finish."""
        return self.status in {"success", "failed"}

    @property
    def succeeded(self) -> bool:
        return self.status == "success"

    @property
    def reason(self) -> str:
        """Why it failed, in the server's words, in one line; empty for an import that did not fail."""
        if self.status != "failed":
            return ""
        error = self.update_log.get("error")
        texts = [] if self.status_text.startswith("Version:") else [self.status_text]
        if isinstance(error, dict):
            texts += [str(text) for key, text in error.items() if key not in {"trace", "existing_file_id"}]
        elif error:
            texts.append(str(error))
        texts.append(str(self.update_log.get("download_media") or ""))
        lines = dict.fromkeys(" ".join(text.split()) for text in texts)
        said = "; ".join(line for line in lines if line).replace(".; ", "; ")
        return said[:_MAX_REASON] or "The server gave no reason."

    @property
    def failure(self) -> str:
        """The whole story of a failed import in one line: which file, why, and what to do; empty for others."""
        if not (reason := self.reason):
            return ""
        name = repr(self.original_filename) if self.original_filename else f"number {self.id}"
        helps = (cure for said, cure in _CURES if said.search(reason))
        cure = next(helps, "Look into the server's log, and import it again.")
        stored = (
            f" The image itself is stored as file {self.file_id}: add the instances to that." if self.file_id else ""
        )
        return f"The import {name} failed: {reason.rstrip('. ')}. {cure}{stored}"

    @property
    def existing_file_id(self) -> int | None:
        """The file that already has this name in this dataset, if that is why the import failed."""
        error = self.update_log.get("error")
        if isinstance(error, dict) and str(error.get("existing_file_id", "")).isdigit():
            return int(error["existing_file_id"])
        found = _EXISTING.search(self.reason)
        return int(found.group(1)) if found else None

    @property
    def url_expired(self) -> bool:
        """Whether the store refused the URL (401, 403, or it says "expired"): signing again can help.

        A store that could not be reached at all, or that answered 404, is not meant.
        """
        return self.status == "failed" and self.file_id is None and bool(_REFUSED_BY_STORE.search(self.reason))
