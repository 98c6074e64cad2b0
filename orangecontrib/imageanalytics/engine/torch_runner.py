"""Run networks in torch: on GPUs, and on the CPU if OpenVINO does not support them."""

from __future__ import annotations

import contextlib
import logging
import threading
import warnings

import numpy as np
import torch

from orangecontrib.imageanalytics.engine.device import (
    AUTOMATIC,
    choose_device,
    choose_precision,
    describe_device,
)
from orangecontrib.imageanalytics.engine.device_decoding import (
    DeviceDecoder,
    find_decoder,
    forget_weights,
)
from orangecontrib.imageanalytics.engine.half_precision import shortened, slowdown
from orangecontrib.imageanalytics.engine.runner import Runner, look, out_of_memory
from orangecontrib.imageanalytics.engine.streams import (
    Stream,
    find_worker,
    release_memory,
)
from orangecontrib.imageanalytics.engine.torch_threads import SingleThreaded
from orangecontrib.imageanalytics.errors import Cancelled, first_line
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec

log = logging.getLogger(__name__)

# On a CPU small batches are several times faster than large ones: what passes
# between the layers stays in the processor's cache. See benchmarks/batch_size.py.
CPU_BATCH = 4
GPU_BATCH = 64
# cuDNN plans every convolution anew for each number of images, which takes seconds for
# some networks. Batches are filled up to this or to a whole one.
_FEW = 8
# There is a warning if a precision is this many times as slow as float32.
_NOTICED = 1.5


class TorchRunner(Runner):
    """A network in torch, on a device that works; on a GPU, threads take turns.

    On a CUDA device, one thread and one stream compute for all of them (`Worker`). Only
    the stream that has freed memory can use it again, so each further stream would hold
    the memory of a batch. Each thread has its own stream to copy images meanwhile.

    Parameters
    ----------
    spec : EmbeddingSpec
        Its precision is as for `choose_precision`.
    device : str
        As for `choose_device`.
    batch_size : int, optional
        Number of images in a batch; the default depends on the device.
    may_download : bool
        As for `Runner`.

    Attributes
    ----------
    device : torch.device
        The current device, which changes to the CPU when a GPU fails.
    batch_size : int
        Decreases when the device does not have enough memory.
    """

    def __init__(
        self,
        spec: EmbeddingSpec,
        device: str = AUTOMATIC,
        batch_size: int | None = None,
        may_download: bool = True,
    ):
        super().__init__(spec, batch_size or 0, may_download)
        self.device = choose_device("cpu" if spec.network.cpu_only else device)
        self._asked_precision = spec.precision
        self._asked_batch_size = batch_size
        self._set_defaults()
        self._module = None
        self._half = None
        self._closed = False
        self._loading = threading.Lock()
        self._lock = threading.Lock()
        self._run = threading.local()

    def load(self, callback=None) -> None:
        """As `Runner.load`."""
        with self._loading:
            if self._closed:
                raise Cancelled
            if self._module is None:
                self._module = self._load(callback)

    def close(self) -> None:
        """As `Runner.close`; running calls raise `Cancelled`."""
        with self._loading, self._lock:
            self._closed = True
            self._module = self._half = None
        if self.device.type == "cuda":
            forget_weights()
            release_memory()

    def _load(self, callback):
        module = self._load_backbone(callback)
        self._watch_for_cancel(module)
        self._warn_if_slow()
        try:
            module = module.to(self.device)
            if self.device.type == "cuda":
                # It came on the default stream, for which the worker's does not wait.
                torch.cuda.synchronize(self.device)
                worker = find_worker(self.device, "networks")
                self._half = worker(
                    shortened, module, self.spec, self.precision, self.device
                )
            return module
        except Exception as error:  # also of programs, of which any may come
            if self.device.type == "cpu":
                raise
            self._move_to_cpu(module, error)
            return self._module

    def _warn_if_slow(self):
        if self.device.type == "cpu" and self.precision != "float32":
            factor = slowdown(self.precision)
            if factor > _NOTICED:
                warnings.warn(
                    f"This processor has no instructions for {self.precision}, which "
                    f"takes about {factor:.0f} times as long as float32.",
                    RuntimeWarning,
                    stacklevel=2,
                )

    def _copying(self) -> Stream:
        """This thread's stream for copies."""
        if not hasattr(self._run, "copying"):
            self._run.copying = Stream(self.device)
        return self._run.copying

    @property
    def decoder(self) -> DeviceDecoder | None:
        """As `Runner.decoder`."""
        if self.device.type != "cuda" or not isinstance(self.intensity, str):
            return None
        return find_decoder(self.device, self.preprocessing)

    def _set_defaults(self):
        self._precision = choose_precision(self._asked_precision, self.device)
        default = CPU_BATCH if self.device.type == "cpu" else GPU_BATCH
        self.batch_size = self._asked_batch_size or default

    @property
    def precision(self) -> str:
        """As `Runner.precision`."""
        return self._precision

    @property
    def device_name(self) -> str:
        """As `Runner.device_name`."""
        return describe_device(self.device)

    def _watch_for_cancel(self, module):
        """Check before every layer, since a batch of a large network takes long."""
        run = self._run  # the network would keep this runner, and that the network

        def check(*_):
            # There is none while the network is loaded.
            cancelled = getattr(run, "cancelled", None)
            if cancelled is not None:
                look(cancelled)

        for part in module.modules():
            if not list(part.children()):
                part.register_forward_pre_hook(check)

    def __call__(
        self, squares: np.ndarray, cancelled: threading.Event
    ) -> tuple[np.ndarray, str]:
        """As `Runner.__call__`."""
        self.load(lambda _fraction: look(cancelled))
        self._run.cancelled = cancelled
        squares = torch.from_numpy(squares)
        # The device may change under way: then all of the batch is done again,
        # so that its vectors are of one precision.
        while True:
            device, precision = self.device, self.precision
            size = min(self.batch_size, len(squares))
            try:
                vectors = self._in_parts(squares.split(size), device, precision)
                if precision != "float32" and not vectors.isfinite().all():
                    precision = "float32"
                    vectors = self._in_parts(squares.split(size), device, precision)
            except RuntimeError as error:
                self._recover(error, device, size)
                continue
            return vectors.numpy(), precision

    def sharing(self) -> SingleThreaded:
        """As `Runner.sharing`."""
        return SingleThreaded()

    def start_thread(self) -> None:
        """As `Runner.start_thread`."""
        SingleThreaded.start_thread()

    def _in_parts(self, parts, device, precision):
        if device.type == "cuda":
            return torch.cat([self._in_turn(p, device, precision) for p in parts])
        gpu = device.type != "cpu"
        with self._lock if gpu else contextlib.nullcontext():
            return torch.cat([self.forward(p, device, precision).cpu() for p in parts])

    def _in_turn(self, squares, device, precision):
        """As `forward`, while other threads copy and submit later work."""
        copying, worker = self._copying(), find_worker(device, "networks")
        # Kept until all is done: what a stream frees it may fill again at once.
        uploaded = copying.upload(squares)
        arrived, cancelled = copying.mark(), self._run.cancelled

        def compute():
            self._run.cancelled = cancelled
            worker.stream.wait(arrived)
            with self._lock:
                vectors = self.forward(self._filled_up(uploaded), device, precision)
            vectors = worker.stream.download(vectors[: len(squares)])
            return vectors, worker.stream.mark()

        vectors, done = worker(compute)
        done.synchronize()
        return vectors

    def _filled_up(self, squares):
        """Fill a batch up to one of two sizes by repeating the first image."""
        size = _FEW if len(squares) <= _FEW else self.batch_size
        missing = max(0, min(size, self.batch_size) - len(squares))
        return torch.cat([squares, squares[:1].expand(missing, -1, -1, -1)])

    def forward(
        self, squares: torch.Tensor, device: torch.device, precision: str
    ) -> torch.Tensor:
        """Vectors of one batch, once the network is loaded.

        Parameters
        ----------
        squares : torch.Tensor
            uint8, shape (n, size, size, 3), RGB, on any device.
        device : torch.device
            The device of the network.
        precision : str
            Either `precision` or ``"float32"``.

        Returns
        -------
        torch.Tensor
            float32, shape (n, n_features), on `device`, possibly not computed yet.
        """
        module, half = self._module, self._half
        if module is None:
            raise Cancelled  # closed meanwhile
        if precision == "float32":
            half = None
        by_layers = precision != "float32" and half is None
        dtype = getattr(torch, precision)
        autocast = torch.autocast(device.type, dtype, enabled=by_layers)
        with torch.inference_mode(), autocast:
            numbers = self.preprocessing.normalise(squares.to(device))
            if half is not None:
                return half(numbers.to(dtype)).float()
            return module(numbers).float()

    def _recover(self, error, device, size):
        """Make a retry possible after a failure, or raise.

        If memory runs out, batches of that size are halved. After any other failure of
        a GPU, or if a single image does not fit, the network moves to the CPU.
        """
        memory = _is_out_of_memory(error)
        with self._lock:
            if self.device != device or self._closed:
                return  # by another thread
            if memory and size > 1:
                # Unless another thread has done so.
                self.batch_size = min(self.batch_size, size // 2)
                log.info("Out of memory on %s: batches of %d", device, self.batch_size)
                if device.type == "cuda":
                    torch.cuda.empty_cache()
            elif device.type != "cpu":
                self._move_to_cpu(self._module, error)
            elif memory:
                raise out_of_memory() from error
            else:
                raise error

    def _move_to_cpu(self, module, error):
        name = self.device_name
        try:
            module.to("cpu")
        except RuntimeError:  # of a GPU that is lost, nothing can be copied
            module = self._load_backbone(None)
            self._watch_for_cancel(module)
        self._module, self._half = module, None
        self.device = torch.device("cpu")
        self._set_defaults()
        reason = first_line(error)
        warnings.warn(
            f"{name} failed, so the CPU is used: {reason}", RuntimeWarning, stacklevel=2
        )


def _is_out_of_memory(error) -> bool:
    # Neither MPS nor the CPU has an exception of its own for it.
    message = str(error).lower()
    return "out of memory" in message or "allocate memory" in message
