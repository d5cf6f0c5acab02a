"""``predict BUCKET --out FOLDER`` in a process that a test kills: it stops for ever before it reads a certain object.

``predicting_process.py LOG KEY ARGUMENT...``: writes the key of each object that is read into ``LOG``, a line each.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

from diffgram_flows.cli import main
from diffgram_flows.models import StoredObject
from diffgram_flows.storage.s3 import S3Store

STOPPED = "stopped"


def run(log: Path, stop: str, arguments: list[str]) -> int:
    read, writing = S3Store.read, threading.Lock()

    def note(line: str) -> None:
        with writing, log.open("a") as file:
            file.write(line + "\n")

    def watched(self: S3Store, obj: StoredObject, *more: Any, **options: Any) -> bytes:
        if obj.key == stop:
            time.sleep(0.5)  # the others of its chunk get as far as they can
            note(STOPPED)
            while True:
                time.sleep(60)
        content = read(self, obj, *more, **options)
        note(obj.key)
        return content

    S3Store.read = watched  # type: ignore[method-assign]
    return main(arguments)


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
