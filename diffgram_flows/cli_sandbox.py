"""``diffgram-flows sandbox``: a stand-in for Diffgram that people can look at and work with."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter
from rich.console import Console

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.sandbox.settings import SandboxSettings

if TYPE_CHECKING:
    from diffgram_flows.diffgram import DiffgramClient
    from diffgram_flows.sandbox.bootstrap import Keys

__all__ = ["annotate", "app", "labels", "serve"]

app = App(name="sandbox", help="A stand-in for Diffgram on this machine, with a web page to look into it.")
console = Console(markup=False, highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Behaviour(SandboxSettings):
    """The settings as options of a command; ``rate_limits`` has a spelling of its own."""

    rate_limits: Annotated[bool, Parameter(parse=False)] = True


@app.command
def serve(
    *,
    port: int = 8085,
    data: Path = Path("sandbox-data"),
    rate_limits: Literal["on", "off"] = "on",
    behaviour: Annotated[Behaviour, Parameter(name="*")] = Behaviour(),
) -> int:
    """Run the sandbox until Ctrl+C, and say how to reach it.

    Everything is kept in the data folder: the next start goes on from there, with the same login and credentials.

    Parameters
    ----------
    port
        Port of 127.0.0.1 to listen on; 0 for that of the last time or any free one.
    data
        Folder of the server's state; made if it is missing.
    rate_limits
        Answer 429 to more than 20 imports a second and the like, as a Diffgram cluster does.
    """
    from diffgram_flows.sandbox.server import serve as serve_folder

    given = {field.name: getattr(behaviour, field.name) for field in fields(SandboxSettings)}
    settings = replace(SandboxSettings(**given), rate_limits=rate_limits == "on")
    try:
        serve_folder(data, settings, port, announce=lambda keys: _welcome(keys, data, settings))
    except KeyboardInterrupt:  # the way to stop it; everything is closed by now
        console.print("\nStopped. The same command goes on from here.")
    return 0


@app.command
def annotate(
    truth: Path,
    *,
    data: Path = Path("sandbox-data"),
    limit: int | None = None,
    mistakes: float = 0.0,
) -> int:
    """Do open tasks of a running sandbox as a person who knows what is in the images.

    Boxes that are there already are kept, corrected or deleted; images that the truth does not know are left alone.
    A job has the labels that there were when it was made: see ``sandbox labels``.

    Parameters
    ----------
    truth
        COCO JSON: file names as in the bucket, categories, and annotations with bbox.
    data
        Folder of the sandbox's state.
    limit
        How many tasks at most; all if it is not given.
    mistakes
        Probability of a mistake in each box, 0 to 1.
    """
    from diffgram_flows.sandbox.annotator import Annotator
    from diffgram_flows.sandbox.comparison import AnnotationTally
    from diffgram_flows.sandbox.truth import CocoTruth

    known, keys, total = CocoTruth.load(truth), _keys(data), AnnotationTally()
    person = Annotator(keys.url, keys.email, keys.password, known, error_rate=mistakes)
    with _client(keys) as client:
        for job in reversed(client.jobs()):  # the oldest first
            total += person.annotate(job.id, None if limit is None else limit - total.images)
    console.print(
        f"{total.images} tasks done: {total.drawn} boxes drawn, {total.kept} kept, {total.corrected} corrected, "
        f"{total.deleted} deleted. {total.skipped} tasks left alone."
    )
    return 0


@app.command
def labels(truth: Path, *, data: Path = Path("sandbox-data")) -> int:
    """Add the labels of a ground truth to the schema of a running sandbox, before the first import makes a job.

    Parameters
    ----------
    truth
        COCO JSON: its categories.
    data
        Folder of the sandbox's state.
    """
    from diffgram_flows.sandbox.truth import CocoTruth

    known = CocoTruth.load(truth)
    with _client(_keys(data)) as client:
        schema = next(schema for schema in client.schemas() if schema.is_default)
        client.ensure_labels(schema.id, known.labels)
    console.print(f"The schema has the labels {', '.join(known.labels)}.")
    return 0


def _client(keys: Keys) -> DiffgramClient:
    from diffgram_flows.diffgram import DiffgramClient

    return DiffgramClient(keys.url, keys.project, keys.client_id, keys.client_secret)


def _keys(data: Path) -> Keys:
    from diffgram_flows.sandbox.bootstrap import Keys

    keys = Keys.read(data)
    if keys is None or not keys.url:
        raise ConfigurationError(
            f"There is no sandbox in {data}.", cure="Start one with `diffgram-flows sandbox serve`, or give its --data."
        )
    return keys


def _welcome(keys: Keys, data: Path, settings: SandboxSettings) -> None:
    """What a newcomer needs. The keys are those of a throw-away server, and for whoever starts it."""
    troubles = _troubles(settings)
    console.print(
        f"The sandbox is ready. Its state is in {data}.\n\n"
        f"Look into it in a browser:\n\n"
        f"  page      {keys.url}/\n"
        f"  email     {keys.email}\n"
        f"  password  {keys.password}\n\n"
        f"Work with it from another terminal:\n\n"
        f"export DIFFGRAM_URL={keys.url}\n"
        f"export DIFFGRAM_PROJECT={keys.project}\n"
        f"export DIFFGRAM_CLIENT_ID={keys.client_id}\n"
        f"export DIFFGRAM_CLIENT_SECRET={keys.client_secret}\n\n"
        f"{troubles}Ctrl+C stops it."
    )
    console.file.flush()  # to a pipe as well, at once


def _troubles(settings: SandboxSettings) -> str:
    wanted = {
        "requests meet a fault": settings.fault_rate,
        "imports lose their worker": settings.worker_death_rate,
    }
    lines = [f"{rate:.1%} of all {what} (seed {settings.seed}).\n" for what, rate in wanted.items() if rate]
    if settings.export_fault != "none":
        lines.append(f"Exports go wrong: {settings.export_fault}.\n")
    return "".join(lines)
