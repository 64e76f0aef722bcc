# SPDX-License-Identifier: Apache-2.0
"""Runs an ONNX graph in numpy: the operators that exported models use, as the ONNX
specification (opset 15) has them, slow and plain."""
import numpy as np
import onnx
from onnx import numpy_helper

TYPES = {1: np.float32, 7: np.int64, 11: np.float64}


def windows(x, kernel, stride=1):
    view = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(2, 3))
    return view[:, :, ::stride, ::stride]


def conv(x, w, b=None, *, pads, kernel_shape):
    padded = np.pad(x, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
    out = np.einsum("nchwij,ocij->nohw", windows(padded, kernel_shape[0]), w, optimize=True)
    return out if b is None else out + b[:, None, None]


def conv_transpose(x, w, b=None, *, pads, kernel_shape):
    side = kernel_shape[0]
    flipped = w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    pad = side - 1 - pads[0]
    return conv(x, flipped, b, pads=[pad] * 4, kernel_shape=kernel_shape)


def reduce_with(function):
    return lambda x, *, axes, keepdims=1: function(x, axis=tuple(axes), keepdims=bool(keepdims))


OPERATORS = {
    "IsNaN": np.isnan, "Where": np.where, "Add": np.add, "Sub": np.subtract,
    "Mul": np.multiply, "Div": np.divide, "Less": np.less, "Log": np.log, "Sqrt": np.sqrt,
    "Asinh": np.arcsinh, "MatMul": np.matmul, "Identity": lambda x: x,
    "Clip": lambda x, least, most: np.clip(x, least, most),
    "Cast": lambda x, *, to: x.astype(TYPES[to]),
    "LeakyRelu": lambda x, *, alpha: np.where(x >= 0, x, x * np.float32(alpha)),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Softplus": lambda x: np.logaddexp(x, np.float32(0)),
    "Reshape": lambda x, shape: x.reshape(shape),
    "Unsqueeze": lambda x, axes: np.expand_dims(x, tuple(axes)),
    "Gather": lambda x, places, *, axis=0: np.take(x, places, axis=axis),
    "Concat": lambda *all_, axis: np.concatenate(all_, axis=axis),
    "ReduceSumSquare": reduce_with(lambda x, **k: np.square(x).sum(**k)),
    "ReduceMin": reduce_with(np.min), "ReduceMean": reduce_with(np.mean),
    "Conv": conv, "ConvTranspose": conv_transpose,
    "MaxPool": lambda x, *, kernel_shape, strides: windows(x, kernel_shape[0],
                                                           strides[0]).max(axis=(4, 5)),
}


def run(path, rows):
    """{output: array} of the model in the file for the rows."""
    graph = onnx.load(str(path)).graph
    values = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    values[graph.input[0].name] = np.asarray(rows, np.float32)
    with np.errstate(all="ignore"):
        for node in graph.node:
            attributes = {one.name: onnx.helper.get_attribute_value(one)
                          for one in node.attribute}
            out = OPERATORS[node.op_type](*(values[name] for name in node.input), **attributes)
            values[node.output[0]] = out
    return {one.name: values[one.name] for one in graph.output}
