"""Tar files such as webdataset writes them."""

import io
import tarfile

from helpers import make_image


def jpeg(seed: int, size=(64, 48)) -> bytes:
    """The content of a JPEG that no other seed gives."""
    file = io.BytesIO()
    make_image(seed, size).save(file, "JPEG", quality=90)
    return file.getvalue()


def make_shard(files, mode="w", format=tarfile.PAX_FORMAT) -> bytes:
    """The content of a tar file.

    Parameters
    ----------
    files : iterable of (str, bytes) or tarfile.TarInfo
        Names and contents; or headers without content, of links and folders.
    """
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode, format=format) as tar:
        for file in files:
            if isinstance(file, tarfile.TarInfo):
                tar.addfile(file)
                continue
            name, content = file
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return target.getvalue()


def web_dataset(n: int, first: int = 0) -> list[tuple[str, bytes]]:
    """Images with their classes, in files of the same names."""
    files = []
    for index in range(first, first + n):
        files.append((f"{index:06}.jpg", jpeg(index)))
        files.append((f"{index:06}.cls", str(index % 2).encode()))
    return files
