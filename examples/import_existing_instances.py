"""Import an image together with a box that is known already.

python examples/import_existing_instances.py https://example.com/cat.jpg --label cat --box 1 1 128 128
"""

import argparse

from diffgram_flows import Project


def main() -> None:
    parser = argparse.ArgumentParser(description="Import an image with a box on it.")
    parser.add_argument("url", metavar="URL")
    parser.add_argument("--label", required=True, help="made if it is missing")
    corners = ("X_MIN", "Y_MIN", "X_MAX", "Y_MAX")
    parser.add_argument("--box", required=True, nargs=4, type=int, metavar=corners, help="in pixels")
    arguments = parser.parse_args()
    x_min, y_min, x_max, y_max = arguments.box
    packet = {
        "media": {"url": arguments.url, "type": "image"},
        "instance_list": [
            {
                "type": "box",
                "name": arguments.label,
                "x_min": x_min,
                "y_min": y_min,
                "x_max": x_max,
                "y_max": y_max,
            }
        ],
    }
    with Project.from_environment() as project:
        project.label.new(arguments.label)
        file = project.file.from_packet(packet).wait()
        print(f"file {file.id}: {file.name}")
        for instance in file.annotations().instances:
            print(f"  {instance.label_name}: {instance.x_min}, {instance.y_min}, {instance.x_max}, {instance.y_max}")


if __name__ == "__main__":
    main()
