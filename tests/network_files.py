"""Files of networks that tests make, harmless and harmful ones."""

import base64
import io
import os
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import nn

from orangecontrib.imageanalytics.networks.backbone import load_backbone
from orangecontrib.imageanalytics.networks.registry import find_network

SIZE = 16
WRITTEN = {"size": SIZE, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3]}
#: What a network expects that takes bytes as they are.
BYTES = {"size": SIZE, "range": 255, "mean": [0, 0, 0], "std": [1, 1, 1]}

# Made with TensorFlow 2.21, which is too large to be installed for a test: means of the
# channels of images of 16 x 16 pixels, channels last. Compressed, in base 85.
SAVED_MODEL = (
    "c-qZV%Wl&^6wTN%n43gRCOm>s1d6JvG9+;<=p#!i76>6#A^Xu_kJC}zaWo#M$(|+b+3*8=1%H9~1%3j?"
    "X+o<cKqWR<8f&iYbI-ZQXKaMO-GX+@N|~H6_lDo`dmYbrCKsEw40`Qn?Gb%?(0kkS{5>x`K={24Z=jYV"
    "xEPU;MKp^Qnc~uMOape3#37Sz39L}f#ta)Ca<{=sPpB>)^zY-6{bP9{Y}nPsGT{q?tz#+`S3D6cJfd-o"
    "S06a*yzV1#h-5S*iHK)<mnNAE7~x`^sT3Pfa4S$8CYiz(m_9;o8O$LU%jz+p2=5HGp+z(%Vv-4sPWebs"
    "l}Sd<B^{5MBoXQPZWHd2Ac<oZC_Z82j0!r^?|3*T!rv|UV8Y>bT4{PTZ6K!%HV>K5L(X*d={g>uf1bIK"
    "&s-nWVC$;Ti0u7kKxZH9mkYJ{*Uo9IDC}!uEu`<cHvtXv2(+4)W8&Hpc==riDi`9(JSZt{!k@C@?!p}{"
    "Q>02}LC%{OicJ;X!j;n(x#U5nDb5&tHDG6L%+2P%g1fI76<x`~MOQ9D9%wbzQO<QW)TVaIn$S37`1W&b"
    "o4BZT87&(X3I#(i=Mai{Gd#cRU*<gA+<V<C=gCHsD>?o@a<*mJpX=4K`%y=B<xt{x2==wZ*oXSsdF^{u"
    "<osR$ZUdU(U8t>QDu>lpVW#6KCelPkadO^WaCOJpWge)XN_l*<"
)
TFLITE = (
    "c-n1K!A{#i5S=(CjlfDlSb)?VIP}m13XmdH^%eyxArYw3h!d5u@V2s)ES2LRDskikIPw7;_ylesPCatq"
    "gg96Iikdg;SvRd}`Du5b_sz_k_11}~_hI|3Pm5Hi1@dW{JaAQVF(+_DXTTG1RU*0uPRm4i2~+ImXVR!x"
    "Gl`Wax;5Y>FjUELtiJ}4`Vx-%snNN>WtL@*%$fTxBd>q{&N9oN0FK0C?g_dHna=|4-JQM7?x(HYouISX"
    "Yi+c8E!2|NQ<Z&o?;zGeGSX>0P{FZEhVhZ63iuzuEqeqmfK)U(%j-BOymD`9MQr9?8@6J&is;Dn!S>TN"
    "JvnXNICnF@K9|LhYg9zdMsu~XLi8xPIOb|&ovGsC$nJmgRHa88?<0EF1Gwj%?XB)&`$)rMs-lM3;~Rag"
    "sEXs%gy-|x7oU;D9)z(biEp*Osn4S+(MnHVc`|=Mep`<twU@?fED6UwxCg#Tt}eXuXIo2M_AH4GpEF*s"
    "VVq&FVUorvPESScu-|{bG8VsVGR&F(d0w36&kL}5NxpcJ8XZ2vbHwKF9Tn>3L`9=RP7uU8iVxNBj|Ur@"
    "ird2H@OSJt0@l0}kL+Pu`cyWYTl|;*+>zh}j@+?3W;J&0nKQ`$3{P_L@C?X(dX4"
)
TFLITE_BYTES = (
    "c-nnbJ#W)c6uoIo>IN$fw1P-wh!8`jkd#b?B~6Q{l(eWsObEwnoXS$-sE$(=rXckvbYwyd9T*T|;3qI5"
    "2E@=GfCMvJYtDVXPTUZ9(((Jc_n!OZmnWj;!}>i;v`l%rMLEn_GO*W4!<ukLbPSvUpAtl$f&3MsB=%TB"
    "nnzk`u}&I0L-Z=ZA~3MML&x1W+jhqqc73I%0dIpK&}7YLFJ$KZw~O$O_ea2-*yFP^=*`P|38?LCKi%AY"
    "vbD2qHa45pjcT(BUqXL$+^1r)J;yb@q3b(6+dQ<rfzx-D%y-}m#|WGPuYnW57u}Bd+LHKm%8c!E4hkv{"
    "DRq{L#q=}D@=;zjrQ1(GU#HXGe5K;j#K+a*YPnb<`YK#(w_Ge&_$(Tw^B}04^L<L`O>^qP%XXhZt_5%n"
    "8uhK+e68;yX5VfXmCUlz&y2leI~h6W`n?0*10Th9&vIPWNJ?I!dc1+Zy5uDhi#<7I|7y%W#!6P!EUTm5"
    "k<OeTA-xs#V_M=fVlgHpFL7QTXi@rs%`xyxdWi4W!NX!XeDc5pk!9*fViVy6?8lvpFs^LOZp8I!G`fEc"
    "^JB~N9Uom}w`*3nyH<+%#Wp_7;0x<U3)6fjQ+%T!91-93S$yToe7A!MANS<OxDK>X7jCwh6&}7bg8%b!"
    "zWq+Ocrdi^<Gi#fmg~43q8sWBxhdTgj(MDhX=9&q5;IQ)Wk*xCSf*iH?p@Dr5BE4g({bC*o;{e<nx*)a"
    "S{c7m+z*%Sb5AxW^-8w>74ukMlm43YBF(7v(%<ixd4y`u$^-jalD&cNVvMISiN9c|e<I8#-+AG=_XqVk"
    "!O8"
)


def make_network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    ).eval()


def export(model, path, n=2, dynamic=True, channels=3):
    """As a program of torch.export."""
    x = torch.zeros(n, channels, SIZE, SIZE)
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    program = torch.export.export(model, (x,), dynamic_shapes=shapes, strict=False)
    torch.export.save(program, path)
    return str(path)


def trace(model, path, n=2, dtype=torch.float32):
    """As TorchScript, traced."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = torch.zeros(n, 3, SIZE, SIZE, dtype=dtype)
        script = torch.jit.trace(model, x)
        torch.jit.save(script, str(path))
    return str(path)


def script(model, path):
    """As TorchScript, compiled from its code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(model), str(path))
    return str(path)


def make_onnx(path, n="batch", nodes=None, output=("batch", 3), weights=None, **kwargs):
    """As ONNX: means of the channels, unless there are other nodes."""
    import onnx

    helper, f32 = onnx.helper, onnx.TensorProto.FLOAT
    mean = helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)
    graph = helper.make_graph(
        nodes or [mean],
        "network",
        [helper.make_tensor_value_info("x", f32, [n, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("y", kwargs.get("type", f32), output)],
        weights or [],
    )
    opset = helper.make_opsetid("", 13)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return str(path)


def unpack(text, path):
    """Write one of the files above."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(zlib.decompress(base64.b85decode(text)))
    return str(path)


def make_openvino(path, shape=(-1, 3, SIZE, SIZE), axes=(2, 3), dtype="float32"):
    """As OpenVINO's own format: means of the channels plus one, from a ``.bin``."""
    from orangecontrib.imageanalytics.networks.openvino_library import library

    openvino = library()
    from openvino import opset13

    image = opset13.parameter(list(shape), np.dtype(dtype))
    real = opset13.convert(image, "f32")
    means = opset13.reduce_mean(real, np.array(axes), keep_dims=False)
    ones = opset13.constant(np.ones((1, 3), np.float32))
    model = openvino.Model([opset13.add(means, ones)], [image])
    openvino.save_model(model, str(path), compress_to_fp16=False)
    return str(path)


class Trap:
    """A pickle of this makes a folder when it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)

    @property
    def sprung(self):
        return os.path.exists(self.path)

    def pickled(self):
        """As torch would save it."""
        stream = io.BytesIO()
        torch.save({"weight": self}, stream)
        return stream.getvalue()


def load(path, trusted=False, **values):
    """The network in a file, as the engine loads it."""
    return load_backbone(find_network(str(path), WRITTEN | values, trusted))


def run(backbone, x):
    with torch.inference_mode():
        return backbone(x.to(memory_format=torch.channels_last))


def check_many_threads(backbone, x, expected):
    """Several threads run the network at the same time, each many times."""
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: run(backbone, x), range(80)))
    assert len(results) == 80
    for result in results:
        torch.testing.assert_close(result, expected)
