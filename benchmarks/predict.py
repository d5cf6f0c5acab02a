"""How fast a brain predicts files: against one image a call, and against what two cores could do at most.

    python benchmarks/predict.py [--images 200] [--rounds 5] [--size 320] [--many 20000] [--quick] [--json FILE]

Everything is measured on the same JPEG files (photographs of 1280 x 960 with the noise of a camera) and the same
network, in rounds in turn (A B C D A B C D ...), so that a machine whose speed drifts slows all of them; ratios are
medians of the rounds.

naive      As the official SDK did: the network frozen into a TF1 graph, one session, one encoded image a call.
pipeline   ``Brain.predict``.
decode     The floor of decoding: nothing but reading, decoding and stretching, in a thread a core.
inference  The floor of the network: nothing but batches that are in memory, in a thread a core.
bound      Both floors keep all cores busy, so no order of the same work is faster than one after the other:
           ``1 / (seconds of decode + seconds of inference)`` images a second, which is
           ``cores / (CPU seconds of decode + CPU seconds of inference)`` where the machine has nothing else to do.

``pipeline_vs_naive`` and ``pipeline_vs_bound`` are ratios of images a second, more is better. ``rss_growth_mb`` is by
how much the memory of the process grows from the 1,000th to the 20,000th image.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from diffgram_flows.brains import Brain, BrainRecord, Manifest, Registry, TrainingOptions
from diffgram_flows.models import LabelMap, Picture

LABELS = LabelMap(tuple((number + 1, str(number)) for number in range(10)))
CORES = len(os.sched_getaffinity(0))
BATCH = 8
SHAPE = (1280, 960)
OUTPUTS = ("detection_boxes", "detection_scores", "detection_classes", "num_detections")
Measured = dict[str, list[tuple[float, float]]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200, help="different files")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=320, help="side of the network's input in pixels")
    parser.add_argument("--many", type=int, default=20_000, help="images for the growth of memory")
    parser.add_argument("--quick", action="store_true", help="a few seconds, for a rough figure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    wanted = parser.parse_args()
    images, rounds, many = (32, 3, 400) if wanted.quick else (wanted.images, wanted.rounds, wanted.many)
    with tempfile.TemporaryDirectory(prefix="predict-") as scratch:
        files = photographs(Path(scratch) / "images", images)
        record = brain(Path(scratch) / "brains", wanted.size)
        figures = speed(record, files, rounds, wanted.size)
        figures |= memory(record, files, many)
        figures |= loading(record)
    print(f"ratio to naive       {figures['pipeline_vs_naive']:8.2f}  (median of {rounds} rounds)")
    print(f"ratio to the bound   {figures['pipeline_vs_bound']:8.2f}  of {figures['bound_per_second']:.0f} images/s")
    print(f"growth of memory     {figures['rss_growth_mb']:8.1f} MB from image {many // 20} to {many}")
    print(f"loading, cached      {figures['reload_microseconds']:8.1f} us")
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=2) + "\n")


def speed(record: BrainRecord, files: Sequence[Path], rounds: int, size: int) -> dict[str, float]:
    """Seconds an image of all that is compared, in rounds in turn, and their ratios."""
    contents = [path.read_bytes() for path in files]
    ways: dict[str, Callable[[], None]] = {
        "naive": naive(record, files),
        "pipeline": lambda: pipeline(record, files),
        "decode": lambda: decode(files, size),
        "inference": inference(record, contents, size),
    }
    for way in ways.values():  # programs are built, files are in the cache
        way()
    measured: Measured = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            measured[name].append(timed(way, len(files)))
    for name, times in measured.items():
        wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"{name:12} {1 / wall:8.1f} images/s {cpu * 1e3:8.2f} ms CPU an image")
    seconds = {name: [wall for wall, _ in times] for name, times in measured.items()}
    floors = [one + other for one, other in zip(seconds["decode"], seconds["inference"], strict=True)]
    return {
        **{f"{name}_per_second": 1 / statistics.median(times) for name, times in seconds.items()},
        "bound_per_second": 1 / statistics.median(floors),
        "pipeline_vs_naive": ratio(seconds["naive"], seconds["pipeline"]),
        "pipeline_vs_bound": ratio(floors, seconds["pipeline"]),
    }


def ratio(these: Sequence[float], ours: Sequence[float]) -> float:
    """How many times faster ours is, in the median round."""
    return statistics.median(one / other for one, other in zip(these, ours, strict=True))


def timed(way: Callable[[], None], count: int) -> tuple[float, float]:
    """Wall and CPU seconds an image."""
    wall, cpu = time.perf_counter(), time.process_time()
    way()
    return (time.perf_counter() - wall) / count, (time.process_time() - cpu) / count


def pipeline(record: BrainRecord, files: Sequence[Path]) -> None:
    """What is measured."""
    for seen in Brain.load(record).predict([Picture(path.name, path) for path in files], batch_size=BATCH):
        if seen.error:
            raise RuntimeError(seen.error)


def naive(record: BrainRecord, files: Sequence[Path]) -> Callable[[], None]:
    """One session on a frozen graph, one encoded image a call."""
    import tensorflow as tf

    from diffgram_flows.brains.tensorflow.inference import boxes_of

    ids = [label_file_id for label_file_id, _ in record.manifest.label_map.labels]
    program = frozen(record)
    with tf.Graph().as_default() as graph:
        tf.compat.v1.import_graph_def(program, name="")
    session = tf.compat.v1.Session(graph=graph)
    outputs = {name: f"{name}:0" for name in OUTPUTS}

    def run() -> None:
        for path in files:
            found = session.run(outputs, {"encoded_image_string_tensor:0": [path.read_bytes()]})
            boxes_of({name: values[0] for name, values in found.items()}, *SHAPE, ids, 0.3)

    return run


def frozen(record: BrainRecord) -> Any:
    """The brain's network as exporters of TF1 wrote it: encoded images in, decoded and stretched in the graph."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from diffgram_flows.brains.tensorflow.saving import PROGRAM_FOLDER

    module = tf.saved_model.load(str(record.folder / PROGRAM_FOLDER))
    function = module.signatures["serving_default"]
    size = record.manifest.options.image_size

    def decoded(content: Any) -> Any:
        image = tf.io.decode_image(content, channels=3, expand_animations=False)
        return tf.cast(tf.round(tf.image.resize(image, (size, size))), tf.uint8)

    def program(contents: Any) -> Any:
        return function(images=tf.map_fn(decoded, contents, fn_output_signature=tf.uint8))

    concrete = tf.function(program).get_concrete_function(tf.TensorSpec([None], tf.string))
    constant = convert_variables_to_constants_v2(concrete, lower_control_flow=True)
    with tf.Graph().as_default() as graph:
        contents = tf.compat.v1.placeholder(tf.string, [None], name="encoded_image_string_tensor")
        tensors = [tensor.name for tensor in constant.outputs]
        found = tf.graph_util.import_graph_def(
            constant.graph.as_graph_def(), {constant.inputs[0].name: contents}, tensors, name="network"
        )
        for name, tensor in zip(sorted(OUTPUTS), found, strict=True):
            tf.identity(tensor, name=name)
        return graph.as_graph_def()


def decode(files: Sequence[Path], size: int) -> None:
    """Nothing but reading and decoding, in a thread a core."""
    from diffgram_flows.brains.tensorflow.pixels import decode_squares

    with ThreadPoolExecutor(CORES) as threads:
        for _ in threads.map(lambda path: decode_squares(path.read_bytes(), 1, [size]), files):
            pass


def inference(record: BrainRecord, contents: Sequence[bytes], size: int) -> Callable[[], None]:
    """Nothing but the network, in a thread a core, on batches that are in memory."""
    from diffgram_flows.brains.tensorflow.pixels import decode_squares

    squares = [decode_squares(content, 1, [size])[0] for content in contents]
    batches = [np.stack(squares[start : start + BATCH]) for start in range(0, len(squares), BATCH)]
    model = Brain.load(record).model

    def run() -> None:
        with ThreadPoolExecutor(CORES) as threads:
            for _ in threads.map(lambda batch: model.answer(batch, [SHAPE] * len(batch), 0.3), batches):
                pass

    return run


def memory(record: BrainRecord, files: Sequence[Path], many: int) -> dict[str, float]:
    """By how much the memory grows after the first twentieth of many images, in MB."""
    pictures = (Picture(path.name, path) for path in islice(cycle(files), many))
    first = 0.0
    for done, _ in enumerate(Brain.load(record).predict(pictures, batch_size=BATCH), start=1):
        if done == many // 20:
            first = resident()
    return {"rss_growth_mb": max(0.0, resident() - first), "rss_mb": resident()}


def resident() -> float:
    """Megabytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def loading(record: BrainRecord, times: int = 1_000) -> dict[str, float]:
    """Microseconds of asking again for a brain that is loaded."""
    start = time.perf_counter()
    for _ in range(times):
        Brain.load(record)
    return {"reload_microseconds": (time.perf_counter() - start) / times * 1e6}


def brain(folder: Path, size: int) -> BrainRecord:
    """A detector with random weights, as fast as a trained one."""
    import keras

    from diffgram_flows.brains.tensorflow.decoding import detect
    from diffgram_flows.brains.tensorflow.grid import make_grid
    from diffgram_flows.brains.tensorflow.network import build_network
    from diffgram_flows.brains.tensorflow.saving import save

    keras.utils.set_random_seed(0)
    options = TrainingOptions(image_size=size)
    network, grid = build_network(len(LABELS.labels), options), make_grid(size)
    registry = Registry(folder)
    facts: Any = ("object_detection", datetime.now(UTC), "", LABELS, options, None, {}, 0.3, (), (), {}, {})
    with registry.draft("detector") as draft:
        save(network, size, lambda outputs: detect(grid, outputs), draft)
        return registry.add("detector", draft, Manifest(*facts))


def photographs(folder: Path, count: int) -> list[Path]:
    """JPEG files of photographs with the noise of a camera."""
    folder.mkdir()
    random, paths = np.random.default_rng(0), []
    for number, photo in enumerate(islice(cycle(list(originals())), count)):
        noisy = photo + random.normal(0, 4, photo.shape).astype(np.float32)
        path = folder / f"{number:05}.jpg"
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(path, quality=88)
        paths.append(path)
    return paths


def originals() -> Iterator[Any]:
    """The photographs of scikit-image and scikit-learn, in the size of the benchmark."""
    import skimage.data
    from sklearn.datasets import load_sample_images

    photos = [skimage.data.coffee(), skimage.data.chelsea(), skimage.data.rocket(), skimage.data.astronaut()]
    for photo in [*photos, *load_sample_images().images]:
        yield np.asarray(Image.fromarray(photo).resize(SHAPE, Image.Resampling.BICUBIC), np.float32)


if __name__ == "__main__":
    main()
