"""Files of networks as archives and pickles, which are read but never unpickled."""

from __future__ import annotations

import io
import os
import pickletools
import re
import zipfile
import zlib

from orangecontrib.imageanalytics.errors import ModelError

# Code of TorchScript is compressed; all else torch stores as it is.
MAX_INFLATED = 64 * 10**6
PIECE = 2**20
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
)
OLD_PROGRAM = "serialized_exported_program.json"
PROGRAM = "models/model.json"


def read_members(content: bytes) -> dict[str, bytes]:
    """Contents of an archive by name.

    Raises
    ------
    ModelError
        When it is none, damaged, or grows enormously when unpacked.
    """
    members = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            _check_sizes(infos, len(content))
            for info in infos:
                if info.filename in members:
                    raise ModelError(f"holds {info.filename} twice")
                with archive.open(info) as member:
                    # No more than it says, whatever it would inflate to.
                    members[info.filename] = member.read(info.file_size)
    except DAMAGED as error:
        raise ModelError(f"is damaged: {error}") from error
    return members


def _check_sizes(infos, n_bytes: int) -> None:
    stored = [i for i in infos if i.compress_type == zipfile.ZIP_STORED]
    inflated = [i for i in infos if i.compress_type == zipfile.ZIP_DEFLATED]
    if len(stored) + len(inflated) < len(infos):
        raise ModelError("is compressed in a way that PyTorch does not read")
    if sum(info.file_size for info in inflated) > MAX_INFLATED:
        raise ModelError("would grow enormously when unpacked")
    if sum(info.file_size for info in stored) > n_bytes:
        raise ModelError("is damaged: its parts are longer than the file")


def write_members(members: dict[str, bytes], folder: str = "") -> io.BytesIO:
    """An archive that torch reads as we have read it.

    Parameters
    ----------
    members : dict
        Contents by name; emptied, so that memory does not hold all of them twice.
    folder : str, optional
        What their names in the archive begin with.
    """
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in list(members):
            content = memoryview(members.pop(name))
            info = zipfile.ZipInfo(folder + name)
            info.file_size = len(content)  # tells whether it needs 64 bits
            with archive.open(info, "w") as member:
                # In pieces, between which other threads can run.
                for start in range(0, len(content), PIECE):
                    member.write(content[start : start + PIECE])
    stream.seek(0)
    return stream


def without_root(members: dict[str, bytes]) -> dict[str, bytes]:
    """The same by names inside the one folder in which torch puts everything."""
    roots = {name.partition("/")[0] for name in members}
    if len(roots) != 1:
        raise ModelError("is damaged: not everything in it is in one folder")
    return {name.partition("/")[2]: content for name, content in members.items()}


def may_be_torchscript(path: str) -> bool:
    """Whether a file has the parts of TorchScript; it may still be refused."""
    try:
        with zipfile.ZipFile(path) as archive:
            return is_torchscript(archive.namelist())
    except DAMAGED:
        return False


def is_torchscript(names) -> bool:
    inner = {name.partition("/")[2] for name in names}
    return "constants.pkl" in inner and any(name.startswith("code/") for name in inner)


def is_program(names) -> bool:
    return OLD_PROGRAM in names or any(n.endswith("/" + PROGRAM) for n in names)


def explain_refusal(path: str) -> str:
    """Why a file that is no network for us is none, without unpickling it."""
    name = os.path.basename(path)
    try:
        with open(path, "rb") as file:
            return f"{name} {describe(file.read(), os.path.splitext(path)[1].lower())}"
    except ModelError as error:
        return f"{name} {error}."
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"


WITHOUT_NETWORK = (
    "holds weights without a network. Build the network in Python, load the weights "
    "into it and export it with torch.export.save."
)


def describe(content: bytes, ending: str) -> str:
    if ending in (".safetensors", ".h5"):
        return WITHOUT_NETWORK
    if content[:2] == b"PK":
        members = read_members(content)
        if is_torchscript(members):
            return "holds TorchScript: give it the ending .pt."
        if is_program(members):
            return "holds a torch.export program: give it the ending .pt2."
        pickles = [c for name, c in members.items() if name.endswith("/data.pkl")]
        if not pickles:
            return "is not a network: it is an archive of something else."
        content = pickles[0]
    elif content[:1] != b"\x80":
        return "is not a network."
    return _describe_pickle(content)


def _describe_pickle(content: bytes) -> str:
    # Before version 1.6 torch wrote three small pickles before that of the object.
    names, stream = [], io.BytesIO(content)
    try:
        for _ in range(4):
            names += pickled_names(stream)
    except ModelError:
        if not stream.tell():
            return "is not a network: it is damaged."
    others = [name for name in names if not _is_of_tensors(name)]
    if not others:
        return WITHOUT_NETWORK
    return (
        f"holds a pickled object ({others[0]}), which can only be opened with "
        "weights_only=False, which would run any code hidden in it; export it with "
        "torch.export.save."
    )


def _is_of_tensors(name: str) -> bool:
    return bool(
        name == "collections.OrderedDict"
        or re.fullmatch(r"torch\._utils\._rebuild_\w+|torch\.\w+Storage", name)
        or re.fullmatch(r"torch\.(float|bfloat|int|uint|bool|half|long)\w*", name)
    )


def pickled_names(stream: io.BytesIO) -> list[str]:
    """What a pickle would import, found without unpickling it."""
    names, texts = [], []
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name in ("GLOBAL", "INST"):
                names.append(argument.replace(" ", "."))
            elif opcode.name == "STACK_GLOBAL":
                names.append(".".join(texts[-2:]))
            elif isinstance(argument, str):
                texts.append(argument)
    except Exception as error:  # of whatever kind: the bytes may be anything
        raise ModelError("is damaged: it holds no pickle") from error
    return names


def say_unknown(name: str) -> str:
    """Why an operation, a class or the like is not let through."""
    return (
        f"uses '{name[:80]}', which is not one of the operations of PyTorch that "
        "only compute: it is refused"
    )
