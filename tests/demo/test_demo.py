from __future__ import annotations

import re
import sqlite3
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from diffgram_flows.cli import main
from diffgram_flows.cli_output import FAILED, MISUSED
from diffgram_flows.demo import digits
from diffgram_flows.demo.material import OwnPictures


def ledger_rows(workdir: Path, query: str) -> list[Any]:
    path = workdir / "ledger.db"
    if not path.exists():
        return []
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []


def wait_until(workdir: Path, query: str, process: subprocess.Popen[str]) -> None:
    """Wait until a query of the ledger finds something; that is how far the demo has come."""
    end = time.monotonic() + 240
    while not ledger_rows(workdir, query):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, f"the demo never came to {query}"
        time.sleep(0.02)


@pytest.mark.timeout(900)
@pytest.mark.slow
def test_killed_again_and_again_it_finishes_with_everything_exactly_once(demo: Any, kill: Any) -> None:
    options = (*demo.own_pictures(40), "--rounds", "2")
    moments = [
        "SELECT 1 FROM objects WHERE state = 'sent'",  # in the middle of an import
        "SELECT 1 FROM tasks WHERE status = 'complete' UNION SELECT 1 FROM snapshots",  # people or the export at work
        "SELECT 1 FROM pushes WHERE state IN ('intended', 'sent')",  # pre-labels under way
    ]
    for moment in moments:
        process = demo.start(*options)
        wait_until(demo.workdir, moment, process)
        kill(process)
    process = demo.start(*options)
    output, _ = process.communicate(timeout=420)
    assert process.returncode == 0, output
    assert "1 boxes reach out of their image and are cut" in " ".join(output.split())
    summary = demo.summary()
    assert (summary["objects"], summary["imported"], summary["duplicates"], summary["failed"]) == (40, 40, 0, 0)
    assert [result["images_annotated"] for result in summary["rounds"]] == [15, 25]
    assert summary["rounds"][0]["prelabels_kept_share"] is None
    assert summary["rounds"][1]["prelabels_kept_share"] is not None
    pushed = boxes_of_machines(demo.workdir)
    assert pushed
    assert set(pushed.values()) == {1}
    assert (demo.workdir / "report" / "index.html").read_text().count("<img") >= 5


def boxes_of_machines(workdir: Path) -> Counter[tuple[Any, ...]]:
    """How often the sandbox got the same box of the same brain version for the same file."""
    path = workdir / "diffgram" / "sandbox.sqlite"
    query = """
        SELECT file_id, model_run_id, label_file_id, x_min, y_min, x_max, y_max FROM instance
        WHERE model_run_id IS NOT NULL AND machine_made
    """
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        return Counter(connection.execute(query).fetchall())


def test_a_folder_with_one_image_is_refused_before_anything_starts(demo: Any, capsys: Any) -> None:
    options = demo.own_pictures(1)
    assert main(["demo", "--workdir", str(demo.workdir), *options]) == MISUSED
    assert re.search(r"holds 1 pictures.*need at least 8", " ".join(capsys.readouterr().err.split()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--images", "somewhere"], "--images and --truth belong together"),
        (["--rounds", "0"], "nothing to do in 0 rounds"),
    ],
    ids=["pictures without truth", "no rounds"],
)
def test_options_that_do_not_fit(tmp_path: Path, capsys: Any, options: list[str], message: str) -> None:
    assert main(["demo", "--workdir", str(tmp_path / "work"), *options]) in {MISUSED, FAILED}
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "work" / "prefect").exists()


def test_own_pictures_arrive_in_equal_parts_and_are_all_used(demo: Any) -> None:
    options = demo.own_pictures(21)
    found = OwnPictures.find(Path(options[1]), Path(options[3]), rounds=2)
    first, second = found.rounds
    assert (len(first), len(second), len({*first, *second})) == (11, 10, 21)
    found.put(demo.folder / "bucket", 1)
    found.put(demo.folder / "bucket", 2)
    assert len(list((demo.folder / "bucket").iterdir())) == 21
    assert (found.annotated_after(1), found.annotated_after(2)) == (8, 21)


def test_judging_digits_come_from_other_hands() -> None:
    teaching, _ = digits.compose(3, "train")
    judging, _ = digits.compose(3, "test")
    assert teaching.tobytes() != judging.tobytes()
    assert digits.compose(3, "train")[0].tobytes() == teaching.tobytes()
    used = {digit.ink.tobytes() for digit in digits.handwriting(judging=True)}
    assert not used & {digit.ink.tobytes() for digit in digits.handwriting(judging=False)}
