"""Ask the only brain of the work folder about images of this machine, and write what it sees beside them.

python examples/predict_local.py cat.jpg dog.jpg
"""

import argparse
from pathlib import Path

from diffgram_flows import Project


def main() -> None:
    parser = argparse.ArgumentParser(description="Ask the only brain there is about images.")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    arguments = parser.parse_args()
    with Project.from_environment() as project:
        brain = project.get_model(name=None, local=True)
        for path in arguments.paths:
            inference = brain.predict_from_local(path)
            out = path.with_name(f"{path.stem}-seen.png")
            brain.visual(path).save(out)
            print(f"{path.name}: {', '.join(seen.label for seen in inference) or 'nothing'} (see {out})")


if __name__ == "__main__":
    main()
