"""Send images of this machine to Diffgram: files, or all images of folders.

python examples/import_from_local.py photos cat.jpg --directory photos
"""

import argparse
from pathlib import Path

from diffgram_flows import Project
from diffgram_flows.importing import SUFFIXES


def images_in(place: Path) -> list[Path]:
    """The file itself, or the images of a folder."""
    if not place.is_dir():
        return [place]
    return sorted(path for path in place.iterdir() if path.suffix.lower() in SUFFIXES)


def main() -> None:
    parser = argparse.ArgumentParser(description="Import files of this machine.")
    parser.add_argument("places", nargs="+", type=Path, metavar="PATH", help="an image, or a folder of images")
    parser.add_argument("--directory", help="name of the dataset, made if it is missing; by default the default one")
    arguments = parser.parse_args()
    with Project.from_environment() as project:
        directory = project.directory.new(arguments.directory) if arguments.directory else None
        for path in (path for place in arguments.places for path in images_in(place)):
            file = project.file.from_local(path, directory=directory)
            print(f"file {file.id}: {path.name}")


if __name__ == "__main__":
    main()
