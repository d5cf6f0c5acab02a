"""The house's floors, as code: a room imports only from floors below it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "diffgram_flows"

GROUND = {"errors", "models", "parameters", "images", "perceptual", "disk", "geometry", "masks", "names", "windows", ""}
FLOORS = [
    GROUND,
    {"diffgram", "storage", "ledger"},
    {"importing", "datasets", "brains", "feedback"},
    {"tasks", "blocks", "reports"},
    {"project"},
    {"service"},
    {"cli", "cli_annotations", "cli_brain", "cli_converting", "cli_importing", "cli_predicting", "cli_sandbox"}
    | {"cli_messages", "cli_output", "cli_service"}
    | {"cli_snapshot", "demo"},
]
APART = {"sandbox"}
PREFECT_ROOMS = {"tasks", "blocks", "reports"}
FRONT_DOOR = {"project"}  # what the package's own __init__ opens when it is asked for, and not before
HEAVY = (
    *("tensorflow", "keras", "keras_hub", "boto3", "botocore", "google.cloud", "prefect_aws"),
    *("matplotlib", "sklearn", "pyarrow"),
)


def modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def imports(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def own_rooms(path: Path) -> set[str]:
    names = [name.split(".") for name in imports(path) if name.split(".")[0] == "diffgram_flows"]
    return {parts[1] if len(parts) > 1 else "" for parts in names}


def floor_of(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


@pytest.mark.parametrize("path", modules(PACKAGE), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_from_floors_below(path: Path) -> None:
    room = room_of(path)
    used = own_rooms(path) - {room}
    if room in APART:
        assert used <= {"errors", ""}
        return
    if path == PACKAGE / "__init__.py":
        assert used <= FRONT_DOOR
        return
    if room in FLOORS[-1] | PREFECT_ROOMS:
        used -= FLOORS[-1] | APART if room in FLOORS[-1] else PREFECT_ROOMS
    if room in GROUND:
        assert used <= GROUND
        return
    assert all(floor_of(other) < floor_of(room) for other in used), f"{path} uses {used}"


@pytest.mark.parametrize("path", modules(PACKAGE), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_upper_floors_know_prefect(path: Path) -> None:
    knows = any(name.split(".")[0] == "prefect" for name in imports(path))
    assert not knows or room_of(path) in PREFECT_ROOMS


@pytest.mark.parametrize("path", modules(PACKAGE), ids=lambda path: str(path.relative_to(ROOT)))
def test_tensorflow_is_imported_in_its_own_room_only(path: Path) -> None:
    knows = any(name.split(".")[0] in {"tensorflow", "keras"} for name in imports(path))
    assert not knows or "brains/tensorflow" in path.as_posix()


@pytest.mark.parametrize("path", modules(ROOT / "flows"), ids=lambda path: path.name)
def test_flows_are_composition_only(path: Path) -> None:
    rooms = own_rooms(path)
    assert rooms <= {"tasks", "parameters", "errors", "brains", "datasets"}, f"{path} uses {rooms}"


@pytest.mark.parametrize(
    "module",
    ["diffgram_flows", "diffgram_flows.cli", "diffgram_flows.tasks.workspace", "diffgram_flows.blocks"]
    + [f"flows.{path.stem}" for path in modules(ROOT / "flows") if path.stem != "__init__"],
)
def test_importing_loads_nothing_heavy(module: str) -> None:
    script = f"import sys, {module}; print([n for n in {HEAVY!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_a_project_is_made_without_anything_heavy() -> None:
    script = (
        "import sys, diffgram_flows; assert 'requests' not in sys.modules;"
        "project = diffgram_flows.Project('http://127.0.0.1:9', 'cars', 'id', 'secret');"
        "parts = [getattr(project, name) for name in dir(type(project)) if not name.startswith('_')];"
        f"print([n for n in {(*HEAVY, 'prefect')!r} if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_no_file_is_much_longer_than_a_look() -> None:
    long = {str(path): len(path.read_text().splitlines()) for path in modules(PACKAGE) + modules(ROOT / "flows")}
    assert {path: lines for path, lines in long.items() if lines > 400} == {}
