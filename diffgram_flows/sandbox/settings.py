"""What can be set on a sandbox, in one place: the command line, the process class and the server all read it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from typing import Literal, get_args, get_type_hints

from diffgram_flows.errors import ConfigurationError

ExportFault = Literal["none", "missing_file", "truncated"]


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """Behaviour of one sandbox server.

    Attributes:
        rate_limits: Answer 429 like a server under gunicorn (contract section 3).
        import_workers: Threads that download and store images.
        import_delay: Seconds that every import waits in ``processing`` before its download.
        task_delay: Seconds until the tasks of a launched job, or of a file added to one, appear.
        export_delay: Seconds that an asynchronous export stays in ``init``.
        export_fault: ``missing_file`` and ``truncated`` make exports end "complete" although they are not.
        url_lifetime: Seconds that signed image URLs are valid (contract section 11: 7 hours).
        max_pixels: Larger images are refused from their header, before any pixel is decoded.
        max_download_bytes: Longer downloads are cut and fail.
    """

    rate_limits: bool = True
    import_workers: int = 4
    import_delay: float = 0.0
    task_delay: float = 0.3
    export_delay: float = 0.0
    export_fault: ExportFault = "none"
    url_lifetime: float = 25_200.0
    max_pixels: int = 50_000_000
    max_download_bytes: int = 262_144_000

    def __post_init__(self) -> None:
        if self.import_workers < 1:
            raise ConfigurationError(
                f"A sandbox with {self.import_workers} import workers imports nothing.",
                cure="Set import_workers to 1 or more.",
            )
        if self.export_fault not in get_args(ExportFault):
            raise ConfigurationError(
                f"The sandbox knows no export fault {self.export_fault!r}.",
                cure=f"Set export_fault to one of {', '.join(get_args(ExportFault))}.",
            )
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and value < 0:
                raise ConfigurationError(
                    f"The sandbox setting {field.name} is {value}, which is negative.",
                    cure=f"Set {field.name} to 0 or more.",
                )

    def arguments(self) -> list[str]:
        """These settings as arguments of ``python -m diffgram_flows.sandbox``."""
        listed = []
        for field in fields(self):
            value, flag = getattr(self, field.name), field.name.replace("_", "-")
            if isinstance(value, bool):
                listed.append(f"--{flag}" if value else f"--no-{flag}")
            else:
                listed += [f"--{flag}", str(value)]
        return listed

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Give a parser one option for each setting."""
        kinds = get_type_hints(cls)
        for field in fields(cls):
            flag = "--" + field.name.replace("_", "-")
            if kinds[field.name] is bool:
                parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=field.default)
            else:
                parser.add_argument(flag, type=type(field.default), default=field.default)

    @classmethod
    def from_arguments(cls, parsed: argparse.Namespace) -> SandboxSettings:
        """The settings among parsed command line options."""
        return cls(**{field.name: getattr(parsed, field.name) for field in fields(cls)})
