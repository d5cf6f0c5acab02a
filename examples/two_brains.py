"""Let two brains look at the same image, which is read and decoded once, and draw what both see.

python examples/two_brains.py page_example_name graph_example_name page.jpg seen.png
"""

import argparse
from pathlib import Path

from diffgram_flows import Project, read_image


def main() -> None:
    parser = argparse.ArgumentParser(description="Two brains, one image.")
    parser.add_argument("page", help="name of a brain, for example one that sees pages")
    parser.add_argument("graphs", help="name of another brain, for example one that sees graphs")
    parser.add_argument("image", type=Path)
    parser.add_argument("out", type=Path, help="a .png or .jpg file")
    arguments = parser.parse_args()
    with Project.from_environment() as project:
        page_brain = project.get_model(arguments.page)
        graphs_brain = project.get_model(arguments.graphs)
        image = read_image(arguments.image)
        for inference in (page_brain.run(image), graphs_brain.run(image)):
            print(f"{inference.brain} sees: {', '.join(seen.label for seen in inference) or 'nothing'}")
        output = page_brain.visual(image)
        output = graphs_brain.visual(output)
        output.save(arguments.out)
        print(f"Drawn on {arguments.out}")


if __name__ == "__main__":
    main()
