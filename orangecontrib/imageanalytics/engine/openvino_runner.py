"""Run networks in OpenVINO, which is the fastest on the CPU."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator

import numpy as np

from orangecontrib.imageanalytics.engine.compiled import (
    About,
    Compiled,
    Refused,
    Trial,
    compile_network,
    find_about,
    find_compiled,
)
from orangecontrib.imageanalytics.engine.device import (
    OPENVINO_DEVICES,
    processors,
    workers,
)
from orangecontrib.imageanalytics.engine.probing import (
    LEAST_COSINE,
    least_cosine,
    probe_squares,
)
from orangecontrib.imageanalytics.engine.runner import Runner, look, out_of_memory
from orangecontrib.imageanalytics.errors import first_line
from orangecontrib.imageanalytics.networks.openvino_library import library
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec
from orangecontrib.imageanalytics.networks.torch_library import require_torch

log = logging.getLogger(__name__)

# Decoding and networks crowd each other out of the processor's cache, so small networks
# had better have several images in a row; large ones take so long that progress would
# not be seen.
BATCH, LARGE_BATCH = 16, 4
LARGE_BYTES = 40_000_000
#: A shorter precision is only chosen by default if it is this many times as fast.
LEAST_SPEEDUP = 1.1
_HINTS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
# OpenVINO's names for what the processor has instructions for.
_CAPABILITIES = {"bfloat16": "BF16", "float16": "FP16"}
_LOOK_MILLISECONDS = 100


class OpenVinoRunner(Runner):
    """A network in OpenVINO, or in torch if OpenVINO does not support it.

    Images are processed one by one, each in its own thread: batches are not faster,
    and networks need not accept any number of images.

    Parameters
    ----------
    spec : EmbeddingSpec
        The default precision is the fastest that keeps the vectors.
    device : str
        ``"auto"`` or ``"cpu"``, or one of `OPENVINO_DEVICES`.
    batch_size : int, optional
        Number of images that are decoded before the network runs.
    may_download : bool
        As for `Runner`.

    Raises
    ------
    ValueError
        When there is no such device in this computer.
    """

    def __init__(
        self,
        spec: EmbeddingSpec,
        device: str,
        batch_size: int | None = None,
        may_download: bool = True,
    ):
        super().__init__(spec, batch_size or LARGE_BATCH, may_download)
        self._device = OPENVINO_DEVICES.get(device, "CPU")
        self._core = library().Core()
        is_cpu = self._device == "CPU"  # to list the others takes time
        if not is_cpu and self._device not in self._core.available_devices:
            raise ValueError(f"OpenVINO finds no device '{device}'")
        self._asked_batch_size = batch_size
        self._asked_precision = spec.precision
        self._precision = spec.precision or "float32"
        if spec.network.compiles:
            self._take_over(find_about(spec))
        self._network = None
        self._substitute: Runner | None = None
        self._compiled: Compiled | None = None
        self._single = None
        self._n_sharing = 0
        self._torch_threads: contextlib.AbstractContextManager | None = None
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._thread = threading.local()

    @property
    def precision(self) -> str:
        """As `Runner.precision`."""
        return self._substitute.precision if self._substitute else self._precision

    @property
    def device_name(self) -> str:
        """As `Runner.device_name`."""
        if self._substitute is not None:
            return self._substitute.device_name
        if self._device == "CPU":
            return "CPU"
        name = self._core.get_property(self._device, "FULL_DEVICE_NAME")
        return f"{name} (OpenVINO)"

    @property
    def threads_per_stream(self) -> int:
        """As `Runner.threads_per_stream`.

        OpenVINO computes in its own threads; meanwhile, another caller decodes.
        """
        is_torchs = self._substitute or not self.spec.network.compiles
        return 1 if is_torchs else 2

    # Loading ------------------------------------------------------------------------

    def load(self, callback=None) -> None:
        """As `Runner.load`."""
        with self._loading:
            if self._network is not None or self._substitute is not None:
                return
            try:
                self._network = self._load(callback)
            except Refused as reason:
                name = self.spec.network.name
                require_torch(f"{name} cannot run in OpenVINO: {reason}. It therefore")
                log.info("%s runs in torch: %s", name, reason)
                self._substitute_torch(callback)

    def _load(self, callback):
        if not self.spec.network.compiles:
            raise Refused("files of networks are not compiled")
        if self._is_emulated(self._asked_precision):
            raise Refused(f"this processor has no {self._asked_precision}")
        compiled = find_compiled(self.spec)
        if compiled is None:
            compiled = compile_network(self.spec, lambda: self._load_backbone(callback))
        if self._asked_precision is None:
            self._measure_precisions(compiled)
        self._take_over(compiled.about)
        self._compiled = compiled
        return self._compile(compiled.model, self._precision)

    def _take_over(self, about: About | None) -> None:
        """Use what is known to be best for a network."""
        if about is None:
            return
        if self._asked_precision is None:
            # Another computer with the same name may have made them.
            trials = {
                name: about.trials.get(self._key(name)) for name in self._capable()
            }
            good = (
                (trial.speedup, precision)
                for precision, trial in trials.items()
                if trial is not None
                and trial.cosine >= LEAST_COSINE
                and trial.speedup >= LEAST_SPEEDUP
            )
            _, self._precision = max(good, default=(1, "float32"))
        if self._asked_batch_size is None:
            self.batch_size = BATCH if about.n_bytes < LARGE_BYTES else LARGE_BATCH

    def _compile(self, model, precision: str):
        """Compile a network that takes a uint8 image, shape (1, size, size, 3)."""
        options = {"INFERENCE_PRECISION_HINT": _HINTS[precision]}
        if self._device == "CPU":
            options |= {
                "NUM_STREAMS": workers(),
                "INFERENCE_NUM_THREADS": processors(),
                "ENABLE_CPU_PINNING": False,  # where others decode images
            }
        model = _with_preprocessing(model.clone(), self.preprocessing)
        try:
            network = self._core.compile_model(model, self._device, options)
            taken = network.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        except RuntimeError as error:
            raise Refused(first_line(error)) from error
        if taken != _HINTS[precision]:  # which it does not tell
            raise Refused(f"instead of {precision}, {taken} would be used")
        return network

    def _substitute_torch(self, callback) -> None:
        from orangecontrib.imageanalytics.engine.torch_runner import TorchRunner

        substitute = TorchRunner(
            self.spec,
            "cpu",
            self.batch_size,
            self.may_download,
        )
        substitute.load(callback)
        self._substitute = substitute

    # Precision ----------------------------------------------------------------------

    def _capable(self) -> list[str]:
        """Shorter precisions that the device has instructions for."""
        known = self._core.get_property(self._device, "OPTIMIZATION_CAPABILITIES")
        return [name for name, text in _CAPABILITIES.items() if text in known]

    def _is_emulated(self, precision: str | None) -> bool:
        return precision in _CAPABILITIES and precision not in self._capable()

    def _measure_precisions(self, compiled: Compiled) -> None:
        """Measure shorter precisions on photos, once for each processor."""
        trials = compiled.about.trials
        unknown = [name for name in self._capable() if self._key(name) not in trials]
        if not unknown:
            return
        squares = probe_squares(self.preprocessing)
        expected, seconds = self._try(compiled, "float32", squares)
        for precision in unknown:
            try:
                vectors, shorter = self._try(compiled, precision, squares)
                trial = Trial(least_cosine(vectors, expected), seconds / shorter)
            except (Refused, RuntimeError) as error:
                log.info("%s is not for this network: %s", precision, error)
                trial = Trial(0, 0)
            compiled.remember(self._key(precision), trial)

    def _key(self, precision: str) -> str:
        processor = self._core.get_property(self._device, "FULL_DEVICE_NAME")
        return f"{precision} on {processor}"

    def _try(self, compiled, precision, squares) -> tuple[np.ndarray, float]:
        """Compute vectors, and the seconds that the quickest took."""
        network = self._compile(compiled.model, precision)
        vectors, seconds = [], []
        for square in squares:
            start = time.perf_counter()
            vectors.append(network([square[None]])[0][0])
            seconds.append(time.perf_counter() - start)
        return np.stack(vectors), min(seconds)

    # Running ------------------------------------------------------------------------

    def __call__(
        self, squares: np.ndarray, cancelled: threading.Event
    ) -> tuple[np.ndarray, str]:
        """As `Runner.__call__`."""
        self.load(lambda _fraction: look(cancelled))
        look(cancelled)
        if self._substitute is not None:
            self._start_torch_thread()
            return self._substitute(squares, cancelled)
        vectors = self._run_all(self._network, squares, cancelled)
        if self._precision != "float32" and not np.isfinite(vectors).all():
            vectors = self._run_all(self._single_network(), squares, cancelled)
            return vectors, "float32"
        return vectors, self._precision

    def _single_network(self):
        """A network for numbers outside the range of a shorter precision."""
        with self._loading:
            if self._single is None:
                self._single = self._compile(self._compiled.model, "float32")
            return self._single

    def _run_all(self, network, squares, cancelled) -> np.ndarray:
        request = self._request(network)
        return np.concatenate([self._run(request, s, cancelled) for s in squares])

    def _run(self, request, square: np.ndarray, cancelled) -> np.ndarray:
        shared = np.require(square[None], requirements=("C", "W"))
        tensor = library().Tensor(shared, shared_memory=True)
        request.set_input_tensor(tensor)
        look(cancelled)
        try:
            request.start_async()
            while not request.wait_for(_LOOK_MILLISECONDS):
                if cancelled.is_set():
                    request.cancel()
            return request.get_output_tensor().data.copy()
        except RuntimeError as error:
            look(cancelled)
            if "alloc" in str(error).lower():
                raise out_of_memory() from error
            raise

    def _request(self, network):
        """This thread's own request."""
        if getattr(self._thread, "network", None) is not network:
            self._thread.network = network
            self._thread.request = network.create_infer_request()
        return self._thread.request

    @contextlib.contextmanager
    def sharing(self) -> Iterator[None]:
        """As `Runner.sharing`; runs may overlap."""
        with self._lock:
            self._n_sharing += 1
        try:
            yield
        finally:
            with self._lock:
                self._n_sharing -= 1
                if not self._n_sharing and self._torch_threads is not None:
                    self._torch_threads.__exit__(None, None, None)
                    self._torch_threads = None

    def _start_torch_thread(self) -> None:
        """Tell torch that threads share the work, which is only known during a run."""
        with self._lock:
            if not self._n_sharing:  # the run was stopped
                return
            if self._torch_threads is None:
                self._torch_threads = self._substitute.sharing()
                self._torch_threads.__enter__()
        if not getattr(self._thread, "is_torchs", False):
            self._substitute.start_thread()
            self._thread.is_torchs = True


def _with_preprocessing(model, preprocessing: Preprocessing):
    """A network that takes bytes, shape (1, size, size, 3), RGB."""
    openvino = library()
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(model)
    tensor = steps.input().tensor()
    tensor.set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    changes = steps.input().preprocess().convert_element_type(openvino.Type.f32)
    if preprocessing.channels == "BGR":
        changes = changes.reverse_channels()
    mean, std = (list(map(float, p)) for p in (preprocessing.mean, preprocessing.std))
    changes.mean(mean).scale(std)
    steps.output().tensor().set_element_type(openvino.Type.f32)
    return steps.build()
