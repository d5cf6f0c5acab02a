"""What can be set on a sandbox, in one place: the command line, the process class and the server all read it."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, fields
from typing import get_type_hints

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.sandbox import export_faults

FAULT_KINDS = ("lost_reply", "reset", "server_error", "bad_gateway", "rate_limit", "delay")
RATES = ("fault_rate", "worker_death_rate")


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """Behaviour of one sandbox server.

    Attributes:
        rate_limits: Answer 429 like a server under gunicorn (contract section 3).
        import_workers: Threads that download and store images.
        import_delay: Seconds that every import waits in ``processing`` before its download.
        task_delay: Seconds until the tasks of a launched job, or of a file added to one, appear.
        export_delay: Seconds that an asynchronous export stays in ``init``.
        export_fault: What is wrong with exports. They end "complete" and are not with missing_file, truncated, empty
            (its count of files, too), unknown_label (one instance has it), file_count (one more is counted than there
            is) and lost_instance. slow stays in init for ever; status_500, link_500 and download_500 answer 500;
            expired_link gives links that have expired. Several, separated by commas: the n-th export of a sandbox
            meets the n-th, all that follow the last. ``truncated,none`` spoils the first export only.
        url_lifetime: Seconds that signed image URLs are valid (contract section 11: 7 hours).
        max_pixels: Larger images are refused from their header, before any pixel is decoded.
        max_download_bytes: Longer downloads are cut and fail.
        download_delay: Seconds that every image takes longer, from a bucket to the sandbox and from it to a client.
        fault_rate: Probability in [0, 1] that a request to the API meets a fault.
        fault_kinds: Which faults there are, separated by commas: lost_reply, reset, server_error, bad_gateway,
            rate_limit, delay.
        fault_delay: Seconds that a request which meets the fault ``delay`` waits.
        worker_death_rate: Probability in [0, 1] that a worker dies at an import, which then hangs in ``processing``.
        cpu_gate_every: Seconds from one pause of all import workers to the next; 0 for no pauses. The first is at
            the start.
        cpu_gate_pause: Seconds of such a pause, as while the host's CPU is above 80 % (contract section 6).
        seed: Of all faults and deaths: the same one makes the same.
        require_https: Redirect plain http to https, like a server in production mode (contract section 2). A proxy in
            front says ``X-Forwarded-Proto: https`` for those who came by https.
        underscore_headers: Let header names with an underscore through, like an old server: the header
            ``directory_id`` of a packet then wins over the body (contract section 4).
    """

    rate_limits: bool = True
    import_workers: int = 4
    import_delay: float = 0.0
    task_delay: float = 0.3
    export_delay: float = 0.0
    export_fault: str = "none"
    url_lifetime: float = 25_200.0
    max_pixels: int = 50_000_000
    max_download_bytes: int = 262_144_000
    download_delay: float = 0.0
    fault_rate: float = 0.0
    fault_kinds: str = ",".join(FAULT_KINDS)
    fault_delay: float = 1.0
    worker_death_rate: float = 0.0
    cpu_gate_every: float = 0.0
    cpu_gate_pause: float = 0.0
    seed: int = 0
    require_https: bool = False
    underscore_headers: bool = False

    def __post_init__(self) -> None:
        self._check_types()
        if self.import_workers < 1:
            raise ConfigurationError(
                f"A sandbox with {self.import_workers} import workers imports nothing.",
                cure="Set import_workers to 1 or more.",
            )
        export_faults.sequence(self.export_fault)
        self._check_ranges()
        self._check_faults()

    @property
    def faults(self) -> tuple[str, ...]:
        """The kinds of faults, in the order of ``FAULT_KINDS``."""
        wanted = {kind.strip() for kind in self.fault_kinds.split(",")}
        return tuple(kind for kind in FAULT_KINDS if kind in wanted)

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

    def _check_types(self) -> None:
        for field in fields(self):
            value, kind = getattr(self, field.name), type(field.default)
            fits = isinstance(value, kind) or (kind is float and isinstance(value, int))
            if not fits or (kind is not bool and isinstance(value, bool)):
                raise ConfigurationError(
                    f"The sandbox setting {field.name} is {value!r}, which is no {kind.__name__}.",
                    cure=f"Set {field.name} to a value like {field.default!r}.",
                )

    def _check_ranges(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int | float):
                continue
            if value < 0:
                raise ConfigurationError(
                    f"The sandbox setting {field.name} is {value}, which is negative.",
                    cure=f"Set {field.name} to 0 or more.",
                )
            if not math.isfinite(value):
                raise ConfigurationError(
                    f"The sandbox setting {field.name} is {value}, which is no number to count with.",
                    cure=f"Set {field.name} to 0 or more.",
                )
            if field.name in RATES and value > 1:
                raise ConfigurationError(
                    f"The sandbox setting {field.name} is {value}, which is no probability.",
                    cure=f"Set {field.name} to a number from 0 to 1.",
                )

    def _check_faults(self) -> None:
        unknown = [kind for kind in self.fault_kinds.split(",") if kind.strip() not in FAULT_KINDS]
        if unknown:
            raise ConfigurationError(
                f"The sandbox knows no fault {unknown[0].strip()!r}.",
                cure=f"Set fault_kinds to some of {', '.join(FAULT_KINDS)}, separated by commas.",
            )
        if self.cpu_gate_pause and self.cpu_gate_pause >= self.cpu_gate_every:
            raise ConfigurationError(
                f"The sandbox setting cpu_gate_pause is {self.cpu_gate_pause}, which leaves no time to work "
                f"within cpu_gate_every = {self.cpu_gate_every}.",
                cure="Set cpu_gate_every to more seconds than cpu_gate_pause.",
            )
