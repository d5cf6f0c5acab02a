"""Let Diffgram fetch images from URLs, and wait until it has.

python examples/import_from_url.py https://example.com/cat.jpg https://example.com/dog.jpg
"""

import argparse

from diffgram_flows import Project


def main() -> None:
    parser = argparse.ArgumentParser(description="Import images from URLs.")
    parser.add_argument("urls", nargs="+", metavar="URL")
    parser.add_argument("--directory", help="name of the dataset; by default the project's default one")
    arguments = parser.parse_args()
    with Project.from_environment() as project:
        queued = [project.file.from_url(url, directory=arguments.directory) for url in arguments.urls]
        report = project.input.wait(queued)
        for file in report.files:
            print(f"file {file.id}: {file.name}")
        for failure in report.failures:
            print(f"failed: {failure.name}: {failure.reason}")
        for name in report.waiting:
            print(f"still on its way: {name}")


if __name__ == "__main__":
    main()
