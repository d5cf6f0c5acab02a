"""Export what is annotated in a dataset, and write the JSON to a file.

python examples/export.py annotations.json --directory photos --only-complete
"""

import argparse
import shutil
from pathlib import Path

from diffgram_flows import Project


def main() -> None:
    parser = argparse.ArgumentParser(description="Export annotations.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--directory", help="name of the dataset; by default the project's default one")
    parser.add_argument("--only-complete", action="store_true", help="only files whose tasks are complete")
    arguments = parser.parse_args()
    with Project.from_environment() as project:
        export = project.export.new(arguments.directory, only_complete=arguments.only_complete)
        print(f"export {export.id}: {export.status().file_count} files")
        with export.wait().open() as stream, arguments.out.open("wb") as out:
            shutil.copyfileobj(stream, out)
        print(f"written to {arguments.out}")


if __name__ == "__main__":
    main()
