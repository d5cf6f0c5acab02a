"""What happens to files whose objects have changed or vanished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Policy:
    """The user's decision; by default nothing that is in Diffgram is touched.

    Attributes:
        changed: ``reimport`` a changed object as a new file, under a name of its own; or ``ignore`` the change.
        old_file: What becomes of the file of the older version: ``keep`` or ``archive`` it.
        deleted: ``ignore`` that an object has gone, or ``archive`` its file.
        archive_human_work: Whether a file leaves the dataset although a person has worked on it. Its annotations stay
            in the project.
    """

    changed: Literal["reimport", "ignore"] = "reimport"
    old_file: Literal["keep", "archive"] = "keep"
    deleted: Literal["ignore", "archive"] = "ignore"
    archive_human_work: bool = False

    @property
    def archives(self) -> bool:
        """Whether any file may leave the dataset."""
        return "archive" in (self.old_file, self.deleted)
