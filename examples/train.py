"""Train a brain on what people finished in Diffgram.

python examples/train.py my_model --directory photos
"""

import argparse
import time

from diffgram_flows import Project


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a brain.")
    parser.add_argument("name", help="of the brain; training it again makes its next version")
    parser.add_argument("--method", default="object_detection")
    parser.add_argument("--directory", help="name of the dataset; by default the project's default one")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--image-size", type=int, default=192, help="side of the network's input, a multiple of 32")
    arguments = parser.parse_args()
    with Project.from_environment() as project:
        brain = project.train.start(
            name=arguments.name,
            method=arguments.method,
            directory=arguments.directory,
            steps=arguments.steps,
            image_size=arguments.image_size,
        )
        told = ""
        while not (status := brain.check_status()).done:
            if str(status) != told:
                told = str(status)
                print(told)
            time.sleep(0.5)
        status = brain.wait()  # raises what went wrong, if something did
        print(f"{status.brain} is {status}")
        print("It is in use now." if status.promoted else "The version before it stays in use.")


if __name__ == "__main__":
    main()
