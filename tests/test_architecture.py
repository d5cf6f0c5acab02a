"""The house's floors, as code: a room imports only from floors below it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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


def refused_rooms(path: Path) -> set[str]:
    """What a file of the package uses though it stands on no floor below it."""
    room = room_of(path)
    used = own_rooms(path) - {room}
    if room in APART:
        return used - {"errors", ""}
    if path == PACKAGE / "__init__.py":
        return used - FRONT_DOOR
    if room in GROUND:
        return used - GROUND
    if room in FLOORS[-1] | PREFECT_ROOMS:
        used -= FLOORS[-1] | APART if room in FLOORS[-1] else PREFECT_ROOMS
    return {other for other in used if floor_of(other) >= floor_of(room)}


def knowing(libraries: set[str]) -> set[Path]:
    """The files of the package that import one of the libraries."""
    return {path for path in modules(PACKAGE) if any(name.split(".")[0] in libraries for name in imports(path))}


def test_a_room_imports_only_from_floors_below() -> None:
    refused = {str(path.relative_to(ROOT)): refused_rooms(path) for path in modules(PACKAGE)}
    assert {path: rooms for path, rooms in refused.items() if rooms} == {}


def test_only_the_upper_floors_know_prefect() -> None:
    assert [path for path in knowing({"prefect"}) if room_of(path) not in PREFECT_ROOMS] == []


def test_tensorflow_is_imported_in_its_own_room_only() -> None:
    room = PACKAGE / "brains" / "tensorflow"
    assert [path for path in knowing({"tensorflow", "keras"}) if room not in path.parents] == []


def test_flows_are_composition_only() -> None:
    composed_of = {"tasks", "parameters", "errors", "brains", "datasets"}
    used = {path.name: own_rooms(path) - composed_of for path in modules(ROOT / "flows")}
    assert {path: rooms for path, rooms in used.items() if rooms} == {}


def test_importing_loads_nothing_heavy() -> None:
    flows = [f"flows.{path.stem}" for path in modules(ROOT / "flows") if path.stem != "__init__"]
    light = ["diffgram_flows", "diffgram_flows.cli", "diffgram_flows.tasks.workspace", "diffgram_flows.blocks", *flows]
    script = (
        "import importlib, sys\n"
        f"for module in {light!r}:\n"
        "    importlib.import_module(module)\n"
        f"    if heavy := [name for name in {HEAVY!r} if name in sys.modules]: sys.exit(f'{{module}} loads {{heavy}}')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")


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
