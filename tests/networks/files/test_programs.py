import os
import warnings

import pytest
import torch
from helpers import make_harmful_file
from network_files import (
    SIZE,
    WRITTEN,
    check_many_threads,
    export,
    make_network,
    run,
    script,
    trace,
)
from network_files import load as load_unasked
from torch import nn

from orangecontrib.imageanalytics.errors import ModelError, TrustNeededError
from orangecontrib.imageanalytics.networks.backbone import load_backbone
from orangecontrib.imageanalytics.networks.files import trust
from orangecontrib.imageanalytics.networks.files.network_file import find
from orangecontrib.imageanalytics.networks.registry import find_network


def load(path, **values):
    """Vouched for."""
    return load_unasked(path, trusted=True, **values)


def refusal(path, **values):
    with pytest.raises(ModelError) as caught:
        load(path, **values)
    message = str(caught.value)
    assert os.path.basename(str(path)) in message
    assert len(message) < 600 and "\n" not in message
    return message


# -- Networks that work ----------------------------------------------------------


@pytest.mark.parametrize("kind", ["program", "fixed", "traced", "scripted"])
@pytest.mark.parametrize("n", [1, 3, 7])
def test_any_number_of_images(made, kind, n):
    x = torch.randn(n, 3, SIZE, SIZE)
    with torch.inference_mode():
        expected = make_network()(x)
    torch.testing.assert_close(run(load(made[kind]), x), expected)


class Reshaped(nn.Module):
    """Traced, works for as many images only as it was traced with."""

    def forward(self, x):
        return x.mean((2, 3)).view(int(x.shape[0]), 3) * 2


@pytest.mark.parametrize("n", [1, 4])
def test_traced_for_so_many_images(tmp_path, n):
    backbone = load(trace(Reshaped(), tmp_path / "a.pt", n=n))
    x = torch.randn(6, 3, SIZE, SIZE)
    torch.testing.assert_close(run(backbone, x), 2 * x.mean((2, 3)))


def test_dynamic_between_limits(tmp_path):
    batch = torch.export.Dim("batch", min=2, max=4)
    program = torch.export.export(
        make_network(),
        (torch.zeros(3, 3, SIZE, SIZE),),
        dynamic_shapes=({0: batch},),
        strict=False,
    )
    torch.export.save(program, tmp_path / "a.pt2")
    x = torch.randn(9, 3, SIZE, SIZE)
    vectors = run(load(tmp_path / "a.pt2"), x)
    with torch.inference_mode():
        torch.testing.assert_close(vectors, make_network()(x))


@pytest.mark.parametrize("kind", ["program", "fixed", "traced"])
def test_many_threads(made, kind):
    backbone = load(made[kind])
    x = torch.randn(8, 3, SIZE, SIZE)
    check_many_threads(backbone, x, run(backbone, x))


@pytest.mark.parametrize("kind", ["program", "traced"])
def test_is_a_plain_module_for_torch(made, kind):
    """It can be moved, evaluated, and hooked, as the engine does."""
    backbone = load(made[kind]).eval().to("cpu").to(torch.device("cpu"))
    calls = []
    for module in backbone.modules():
        if not list(module.children()):
            module.register_forward_pre_hook(lambda *_: calls.append(1))
    run(backbone, torch.zeros(2, 3, SIZE, SIZE))
    assert len(calls) == 1


def test_is_moved(made):
    """To the one other device that there always is."""
    model = load(made["program"]).model
    device = torch.device("meta")
    model.to(device)
    with torch.inference_mode():
        assert model(torch.zeros(2, 3, SIZE, SIZE, device=device)).device == device


class Means(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


class Named(nn.Module):
    def forward(self, x):
        return {"logits": x.mean((2, 3))}


class Half(nn.Module):
    def forward(self, x):
        assert x.dtype == torch.float16
        return x.mean((2, 3))


def test_program_that_names_its_output(tmp_path):
    backbone = load(export(Named(), tmp_path / "a.pt2"))
    assert run(backbone, torch.zeros(2, 3, SIZE, SIZE)).shape == (2, 3)


def test_program_of_half_precision(tmp_path):
    x = torch.zeros(2, 3, SIZE, SIZE, dtype=torch.float16)
    program = torch.export.export(Half(), (x,), strict=False)
    torch.export.save(program, tmp_path / "a.pt2")
    assert run(load(tmp_path / "a.pt2"), x.float()).shape == (2, 3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("kind", ["traced", "scripted"])
def test_torchscript_of_other_precision(tmp_path, kind, dtype):
    model = make_network().to(dtype)
    if kind == "traced":
        trace(model, tmp_path / "a.pt", dtype=dtype)
    else:
        script(model, tmp_path / "a.pt")
    x = torch.randn(3, 3, SIZE, SIZE)
    with torch.inference_mode():
        expected = model(x.to(dtype))
    vectors = run(load(tmp_path / "a.pt"), x)
    torch.testing.assert_close(vectors, expected, check_dtype=False)


def test_nothing_is_said_to_users(made, recwarn, caplog):
    for path in made.values():
        load(path)
    assert not [w for w in recwarn if "torch.jit" in str(w.message)]
    assert not caplog.records


# -- Files that would run code when they are opened ------------------------------


def test_it_does_harm_when_vouched_for(tmp_path):
    """Else the tests below would show nothing."""
    path = make_harmful_file(tmp_path / "harm.pt2", tmp_path / "sprung")
    backbone = load(path, size=40)
    assert run(backbone, torch.zeros(1, 3, 40, 40)).shape == (1, 4)
    assert (tmp_path / "sprung").exists()


def test_a_program_is_not_opened_unasked(tmp_path):
    path = make_harmful_file(tmp_path / "harm.pt2", tmp_path / "sprung")
    network = find(path, WRITTEN)
    for _ in range(2):
        with pytest.raises(TrustNeededError) as caught:
            load_backbone(network)
    assert caught.value.path == path
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("kind", ["program", "fixed", "traced", "scripted"])
def test_torch_is_given_nothing_unasked(made, kind, monkeypatch):
    opened = []
    monkeypatch.setattr(torch.export, "load", opened.append)
    monkeypatch.setattr(torch.jit, "load", opened.append)
    monkeypatch.setattr(torch, "load", opened.append)
    with pytest.raises(TrustNeededError):
        load_unasked(made[kind])
    assert not opened


def test_changed_after_it_was_vouched_for(made, tmp_path):
    path = tmp_path / "a.pt"
    with open(made["traced"], "rb") as file:
        path.write_bytes(file.read())
    load(path)
    load_unasked(path)  # it is remembered
    with open(made["scripted"], "rb") as file:
        path.write_bytes(file.read())
    with pytest.raises(TrustNeededError):
        load_unasked(path)


def test_swapped_between_the_answer_and_the_opening(made, tmp_path):
    path = tmp_path / "a.pt"
    with open(made["traced"], "rb") as file:
        path.write_bytes(file.read())
    network = find_network(str(path), WRITTEN, trusted=True)
    status = os.stat(path)
    with open(made["scripted"], "rb") as file:
        path.write_bytes(file.read()[: status.st_size].ljust(status.st_size, b" "))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(TrustNeededError):
        load_backbone(network)


def test_swapped_for_another_that_is_vouched_for(made, tmp_path):
    """Its vectors would be kept as those of the first."""
    path = tmp_path / "a.pt"
    with open(made["traced"], "rb") as file:
        path.write_bytes(file.read())
    network = find_network(str(path), WRITTEN, trusted=True)
    find_network(made["scripted"], WRITTEN, trusted=True)
    _ = network.weights.fingerprint
    with open(made["scripted"], "rb") as file:
        path.write_bytes(file.read())
    with pytest.raises(ModelError, match=r"a\.pt has changed since it was chosen"):
        load_backbone(network)


def test_what_was_checked_is_what_is_opened(made, tmp_path, monkeypatch):
    """Not what the file holds by then."""
    path = tmp_path / "a.pt"
    with open(made["traced"], "rb") as file:
        content = file.read()
    path.write_bytes(content)
    check = trust.check_vouched

    def change_afterwards(*args):
        path.write_bytes(b"harm")
        return check(*args)

    network = find_network(str(path), WRITTEN, trusted=True)
    monkeypatch.setattr(trust, "check_vouched", change_afterwards)
    opened = []
    jit_load = torch.jit.load

    def look(stream, **kwargs):
        opened.append(stream.getvalue())
        return jit_load(stream, **kwargs)

    monkeypatch.setattr(torch.jit, "load", look)
    with pytest.raises(ModelError, match="has changed since it was chosen"):
        load_backbone(network)  # noticed at the end
    assert opened == [content]


# -- Networks that do not turn images into vectors -----------------------------


class Output(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


EXPORT_ONE = "gives 2 outputs, not one tensor: export only the one you want"


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: (x.mean((2, 3)), x.mean((2, 3))), EXPORT_ONE),
        (lambda x: x.mean((2, 3)).long(), "gives a tensor of int64"),
        (lambda x: torch.complex(x, x).mean((2, 3)), "gives a tensor of complex64"),
        (lambda x: x.mean(), "shape none"),
        (lambda x: x.mean((1, 2, 3)), "makes a tensor of float32, shape"),
        (lambda x: x[:, :, :4, :7], "makes a tensor of float32, shape 1 x 3 x 4 x 7"),
        (lambda x: x.mean((2, 3)) * float("nan"), "undefined numbers (NaN)"),
    ],
)
@pytest.mark.parametrize("kind", ["program", "traced"])
def test_wrong_output(tmp_path, kind, function, reason):
    if kind == "program":
        path = export(Output(function), tmp_path / "a.pt2", dynamic=False)
    else:
        path = trace(Output(function), tmp_path / "a.pt")
    assert reason in refusal(path)


@pytest.mark.parametrize("kind", ["fixed", "program"])
def test_wrong_size_of_program(made, kind):
    message = refusal(made[kind], size=32)
    assert "takes images of 3 x 16 x 16 numbers, not 3 x 32 x 32" in message


def test_wrong_number_of_channels(tmp_path):
    grey = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    message = refusal(export(grey, tmp_path / "a.pt2", channels=1))
    assert "takes images of 1 x 16 x 16 numbers, not 3 x 16 x 16" in message
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(grey, torch.zeros(1, 1, SIZE, SIZE))
        torch.jit.save(traced, str(tmp_path / "a.pt"))
    message = refusal(tmp_path / "a.pt")
    assert "does not take an image of 3 x 16 x 16 numbers" in message
    assert "channels" in message


def test_wrong_number_of_classes(made):
    message = refusal(made["program"], classes=["a", "b"])
    assert "gives 5 numbers, but its description has 2 classes" in message


@pytest.mark.parametrize("dynamic", [True, False])
def test_exported_in_training_mode(tmp_path, dynamic):
    model = make_network().train()
    message = refusal(export(model, tmp_path / "a.pt2", dynamic=dynamic))
    assert "mixes the images of a batch: it was exported in training mode" in message
    assert "call eval() before" in message


def test_traced_in_training_mode(tmp_path):
    class Trained(nn.Module):
        def forward(self, x):
            return nn.functional.batch_norm(x, None, None, training=True)[:, :, 0, 0]

    message = refusal(trace(Trained(), tmp_path / "a.pt"))
    assert "mixes the images of a batch" in message


def test_dropout_in_training_mode(tmp_path):
    class Dropping(nn.Module):
        def forward(self, x):
            return nn.functional.dropout(x, 0.5, training=True)[:, :, 0]

    message = refusal(export(Dropping(), tmp_path / "a.pt2", dynamic=False))
    assert "another vector each time: it was exported in training mode" in message


class Two(nn.Module):
    def forward(self, x, y):
        return (x + y).mean((2, 3))


def test_two_inputs(tmp_path):
    x = torch.zeros(2, 3, SIZE, SIZE)
    program = torch.export.export(Two(), (x, x), strict=False)
    torch.export.save(program, tmp_path / "a.pt2")
    assert "takes 2 inputs" in refusal(tmp_path / "a.pt2")


@pytest.mark.parametrize("kind", ["program", "traced"])
def test_damaged_files(made, tmp_path, kind):
    with open(made[kind], "rb") as file:
        content = file.read()
    path = tmp_path / ("a" + os.path.splitext(made[kind])[1])
    for damaged in (content[:-100], content[: len(content) // 2], content + b"x"):
        path.write_bytes(damaged)
        try:
            load(path)
        except ModelError as error:
            assert str(path) in str(error)
