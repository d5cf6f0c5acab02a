"""Starting everything that a real installation would have, and playing the rounds."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from diffgram_flows.demo.material import Digits, Material, OwnPictures
from diffgram_flows.demo.prefect_server import PrefectServer, prefect_server
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.sandbox import SandboxProcess

_FIRST_ROUND, _LATER_ROUNDS = 320, 250


@dataclass(frozen=True)
class DemoOptions:
    """What the demo was asked to do.

    Attributes:
        workdir: Where everything lies; the demo goes on in a folder that it was stopped in.
        images, truth: Somebody's own pictures and their COCO file, instead of digits.
        rounds: How often people annotate and a brain is trained.
        image_size: Side of the network's input, in pixels.
        ui: Whether to keep the Prefect UI up at the end.
    """

    workdir: Path
    images: Path | None
    truth: Path | None
    rounds: int
    image_size: int
    ui: bool


def run_demo(options: DemoOptions, console: Console) -> int:
    """Play the rounds, print and write what came of them, and stop everything again.

    Raises:
        ConfigurationError: The options do not fit together.
    """
    _check(options)
    started = time.monotonic()
    workdir = options.workdir.resolve()
    workdir.mkdir(parents=True, exist_ok=True)
    material = _material(options, workdir)
    with prefect_server(workdir / "prefect") as prefect, SandboxProcess(workdir / "diffgram") as diffgram:
        _use(prefect, diffgram)
        from diffgram_flows.demo.report import write_report
        from diffgram_flows.demo.rounds import Play

        material.put(workdir / "bucket", 1)  # there is time: the Prefect server takes a while to start
        prefect.wait_until_up()
        play = Play(workdir, material, diffgram, options, console)
        for number in range(1, options.rounds + 1):
            play.round(number)
        summary = write_report(play, wall_seconds=time.monotonic() - started)
        summary.show(console)
        _keep_up(prefect, options, console)
    return 0


def _material(options: DemoOptions, workdir: Path) -> Material:
    if options.images and options.truth:
        return OwnPictures.find(options.images.resolve(), options.truth.resolve(), options.rounds)
    return Digits(workdir / "truth.json", (_FIRST_ROUND,) + (_LATER_ROUNDS,) * (options.rounds - 1))


def _check(options: DemoOptions) -> None:
    if (options.images is None) != (options.truth is None):
        raise ConfigurationError(
            "--images and --truth belong together.", cure="Give a folder of pictures and a COCO file, or neither."
        )
    if options.rounds < 1:
        raise ConfigurationError(f"There is nothing to do in {options.rounds} rounds.", cure="Ask for 1 or more.")


def _use(prefect: PrefectServer, diffgram: SandboxProcess) -> None:
    """Point the flows to the demo's servers, the way a user's environment would; before Prefect is imported."""
    os.environ["PREFECT_API_URL"] = prefect.api_url
    os.environ["DIFFGRAM_URL"] = diffgram.url
    os.environ["DIFFGRAM_PROJECT"] = diffgram.project
    os.environ["DIFFGRAM_CLIENT_ID"] = diffgram.client_id
    os.environ["DIFFGRAM_CLIENT_SECRET"] = diffgram.client_secret


def _keep_up(prefect: PrefectServer, options: DemoOptions, console: Console) -> None:
    if not options.ui:
        return
    console.print(f"The Prefect UI is at {prefect.url} until you press Ctrl-C.")
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        console.print("Stopped.")
