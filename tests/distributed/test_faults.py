"""What is left when processes, disks and files fail; with real processes."""

import io
import os
import re
import resource
import signal
import subprocess
import sys

import cloudpickle
import dask_cluster
import distributed
import numpy as np
import pyarrow.parquet as pq
import pytest
from dask_cluster import limit_files, own_processes
from dataset_files import names, read
from helpers import wait_until

from orangecontrib.imageanalytics.distributed import JobError, clusters, embed_dataset
from orangecontrib.imageanalytics.distributed.clusters import connected
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder

pytestmark = pytest.mark.slow

# The workers cannot import it.
cloudpickle.register_pickle_by_value(dask_cluster)


def check(folder, paths):
    """Each image has a row with its vector."""
    rows = read(folder)
    assert list(rows) == list(map(str, paths))
    expected = ImageEmbedder(cache=False)(list(map(str, paths)))
    found = [row["vector"] for row in rows.values()]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


class Once:
    """A callback that does something when a condition first holds."""

    def __init__(self, condition, action):
        self.condition, self.action = condition, action
        self.done = False

    def __call__(self, progress):
        if not self.done and self.condition(progress):
            self.done = True
            self.action()


def test_a_worker_is_killed_in_the_middle(slow, images, tmp_path):
    out = tmp_path / "out"
    pids = slow.run(os.getpid)
    kill = Once(
        lambda progress: 0 < progress.images < 20,
        lambda: os.kill(next(iter(pids.values())), signal.SIGKILL),
    )
    summary = embed_dataset(
        tmp_path / "images", out, cluster=slow, part_size=8, callback=kill
    )
    assert kill.done
    assert (summary.images, summary.failed, summary.parts) == (24, 0, 3)
    check(out, images)
    assert names(out) == ["_job.json", *(f"part-0000{part}.parquet" for part in "012")]


def test_the_image_that_kills_is_found(crashing, images, tmp_path):
    killer = images[13]
    with open(killer, "ab") as file:
        file.write(b"KILLS")
    out = tmp_path / "out"
    summary = embed_dataset(tmp_path / "images", out, cluster=crashing, part_size=24)
    rows = read(out)
    assert list(rows) == list(map(str, images))
    failed = [path for path, row in rows.items() if row["vector"] is None]
    assert failed == [str(killer)]
    assert rows[str(killer)]["error"] == "the process that read this image was killed"
    assert (summary.images, summary.failed, summary.parts) == (24, 1, 1)
    assert names(out) == ["_job.json", "part-00000.parquet"]
    assert [row["category"] for row in rows.values()] == 12 * ["left"] + 12 * ["right"]


CLIENT = """
import sys
from orangecontrib.imageanalytics.distributed import embed_dataset

def tell(progress):
    print(progress.parts, flush=True)

embed_dataset(*sys.argv[1:3], cluster=sys.argv[3], part_size=4, callback=tell)
"""


def test_the_client_is_killed_and_run_again(slow, images, tmp_path):
    out = tmp_path / "out"
    client = subprocess.Popen(
        [
            sys.executable,
            "-c",
            CLIENT,
            *(str(tmp_path / "images"), str(out), slow.scheduler.address),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in client.stdout:
        if int(line) >= 2:
            break
    client.kill()
    client.wait()
    # The workers notice that nobody waits.
    wait_until(lambda: not any(slow.processing().values()))
    before = {
        name: os.stat(out / name).st_mtime_ns
        for name in names(out)
        if name.startswith("part-")
    }
    assert 2 <= len(before) < 6
    summary = embed_dataset(tmp_path / "images", out, cluster=slow, part_size=4)
    assert summary.parts_before == len(before)
    assert summary.parts == 6 - len(before)
    for name, time in before.items():
        assert os.stat(out / name).st_mtime_ns == time
    check(out, images)


def test_the_scheduler_is_lost(cluster, images, tmp_path):
    out = tmp_path / "out"
    with own_processes(tmp_path) as (scheduler, file):
        kill = Once(lambda progress: progress.parts >= 1, scheduler.kill)
        with pytest.raises(JobError, match=r"scheduler was lost.*run the same again"):
            embed_dataset(
                tmp_path / "images", out, cluster=file, part_size=1, callback=kill
            )
    finished = [name for name in names(out) if name.startswith("part-")]
    assert finished
    summary = embed_dataset(tmp_path / "images", out, cluster=cluster, part_size=1)
    assert summary.parts_before == len(finished)
    check(out, images)


def test_there_is_no_scheduler(images, tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 0.5)
    for cluster in "tcp://127.0.0.1:9", str(tmp_path / "none.json"):
        with pytest.raises(JobError, match=f"no Dask scheduler answers at {cluster}"):
            embed_dataset(tmp_path / "images", tmp_path / "out", cluster=cluster)
    assert not (tmp_path / "out").exists()  # another job can begin there


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_damaged_file_of_a_scheduler(tmp_path, monkeypatch, text):
    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 0)
    path = tmp_path / "scheduler.json"
    path.write_text(text)
    reason = f"{path}: there is no address of a scheduler in this file"
    with pytest.raises(JobError, match=re.escape(reason)), connected(path):
        pass


def test_clients_of_wrong_addresses_are_closed(monkeypatch):
    clients = []
    start = distributed.Client.start

    def noted(client, **options):
        clients.append(client)
        start(client, **options)

    monkeypatch.setattr(distributed.Client, "start", noted)
    for address in "nonsense", "tls://127.0.0.1:9":
        with pytest.raises(JobError, match=address), connected(address):
            pass
        assert clients.pop().status == "closed"


def test_a_full_disk(cluster, images, tmp_path):
    out = tmp_path / "out"
    cluster.run(limit_files, 10_000)
    try:
        with pytest.raises(JobError, match=r"part-0000\d.*cannot be written") as error:
            embed_dataset(tmp_path / "images", out, cluster=cluster, part_size=8)
    finally:
        cluster.run(limit_files, resource.RLIM_INFINITY)
    assert "too large" in str(error.value).lower()  # the system's words
    # The other worker may still be about to notice.
    wait_until(lambda: not any(cluster.processing().values()))
    assert not [name for name in names(out) if name.startswith("part-")]
    embed_dataset(tmp_path / "images", out, cluster=cluster, part_size=8)
    check(out, images)


def test_stopped_by_the_callback(slow, images, tmp_path):
    def stop():
        raise KeyboardInterrupt

    out = tmp_path / "out"
    stopping = Once(lambda progress: progress.parts >= 1, stop)
    with pytest.raises(KeyboardInterrupt):
        embed_dataset(
            tmp_path / "images", out, cluster=slow, part_size=4, callback=stopping
        )
    wait_until(lambda: not any(slow.processing().values()))
    summary = embed_dataset(tmp_path / "images", out, cluster=slow, part_size=4)
    assert summary.parts_before >= 1
    assert summary.parts + summary.parts_before == 6
    check(out, images)


@pytest.fixture
def stored(s3_server, images):
    """Addresses of the images in S3."""
    return [
        s3_server.put(f"images/{path.parent.name}/{path.name}", path.read_bytes())
        for path in images
    ]


def test_s3_that_is_busy_for_a_while(s3_server, stored, images):
    with connected(None, workers=2) as client:  # which has the server's address
        s3_server.refusals.update({"right/13": 2, "out/part-00001": 2, "images/": 1})
        summary = embed_dataset(
            f"s3://{s3_server.bucket}/images/**/*.png",
            f"s3://{s3_server.bucket}/out",
            cluster=client,
            part_size=8,
        )
        assert (summary.images, summary.failed, summary.parts) == (24, 0, 3)
        again = embed_dataset(
            f"s3://{s3_server.bucket}/images/**/*.png",
            f"s3://{s3_server.bucket}/out",
            cluster=client,
            part_size=8,
        )
        assert (again.parts, again.parts_before) == (0, 3)
    keys = s3_server.client.list_objects_v2(Bucket=s3_server.bucket, Prefix="out/")
    assert [entry["Key"] for entry in keys["Contents"]] == [
        "out/_job.json",
        *(f"out/part-0000{part}.parquet" for part in range(3)),
    ]
    content = s3_server.client.get_object(
        Bucket=s3_server.bucket, Key="out/part-00001.parquet"
    )["Body"].read()
    table = pq.read_table(io.BytesIO(content))
    assert table.column("path").to_pylist() == stored[8:16]
    expected = ImageEmbedder(cache=False)(list(map(str, images[8:16])))
    np.testing.assert_allclose(
        table.column("vector").to_pylist(), expected, rtol=1e-4, atol=1e-6
    )
