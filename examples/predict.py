"""Ask a brain about an image: a local file, a URL, or a file of Diffgram.

python examples/predict.py my_model --path cat.jpg
python examples/predict.py my_model --url https://example.com/cat.jpg
python examples/predict.py my_model --file-id 111546
python examples/predict.py my_model --path cat.jpg --online    # a brain service looks: docs/brain-service.md
"""

import argparse

from diffgram_flows import Project


def main() -> None:
    parser = argparse.ArgumentParser(description="Ask a brain about an image.")
    parser.add_argument("name", help="of the brain")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--path")
    source.add_argument("--url")
    source.add_argument("--file-id", type=int)
    parser.add_argument("--online", action="store_true", help="ask the service at DIFFGRAM_BRAIN_SERVICE_URL")
    arguments = parser.parse_args()
    with Project.from_environment() as project:
        brain = project.get_model(arguments.name, local=not arguments.online)
        if arguments.path:
            inference = brain.predict_from_local(arguments.path)
        elif arguments.url:
            inference = brain.predict_from_url(arguments.url)
        else:
            inference = brain.predict_from_file(arguments.file_id)
        print(f"{inference.brain} sees {len(inference)} things in {inference.width} x {inference.height} pixels")
        for seen in inference:
            where = ", ".join(f"{x} {y}" for x, y in seen.points) or "the whole image"
            print(f"  {seen.type} {seen.label} {seen.score:.0%}: {where}")


if __name__ == "__main__":
    main()
