"""A snapshot in the format of another tool: the whole folder or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from diffgram_flows.datasets.formats import WriteOptions, WriteReport, find_format
from diffgram_flows.disk import PART
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import LabelMap, Sample


def check_new(folder: Path) -> None:
    """Refuse a folder that holds something already.

    Raises:
        ConfigurationError: It is no folder, or not empty.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder} is a file.", cure="Name a folder that does not exist yet.")
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigurationError(f"The folder {folder} is not empty.", cure="Name a new one, or empty it.")


def write_format(
    name: str,
    samples: Iterable[Sample],
    label_map: LabelMap,
    folder: Path,
    options: WriteOptions | None = None,
) -> WriteReport:
    """Write samples in a format. What a crash leaves behind lies beside the folder, and begins with ``.part-``.

    Args:
        name: One of :data:`FORMATS`.
        samples: Read once, as a stream.
        label_map: Their labels.
        folder: Becomes the export; must not exist, or be empty.
        options: How it is written.

    Raises:
        ConfigurationError: There is no such format, or the folder is not empty.
        DatasetError: An image is missing, or the format cannot hold the name of a label.
        ImageRejected: An image has to be decoded and cannot be.
    """
    chosen, options = find_format(name), options or WriteOptions()
    if options.shards < 1:
        raise ConfigurationError(f"{options.shards} shards hold nothing.", cure="Ask for 1 or more.")
    check_new(folder)
    target = folder.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=PART, dir=target.parent))
    try:
        part.chmod(0o755)
        report = chosen.write(samples, label_map, part, replace(options, images=options.images or chosen.images))
        os.rename(part, target)  # an empty folder is replaced
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return report
