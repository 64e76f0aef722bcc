#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/import: small encoders as PyTorch saves them (the state_dict as
safetensors, written by hand here), rows, centers and the squared distances that PyTorch
gives. Seeded; needs python3-torch."""
import json
import pathlib
import struct

import numpy as np
import torch
from torch import nn

OUT = pathlib.Path(__file__).parent / "import"
DTYPES = {torch.float32: "F32", torch.int64: "I64"}


def save_file(tensors, path):
    header, data = {}, b""
    for name, tensor in sorted(tensors.items()):
        bytes_ = tensor.contiguous().numpy().tobytes()
        header[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(bytes_)]}
        data += bytes_
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


class Block(nn.Module):
    """The authors' Linear_BN_leakyReLU."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.bn = nn.BatchNorm1d(outputs, eps=1e-4, affine=False)

    def forward(self, x):
        return nn.functional.leaky_relu(self.bn(self.linear(x)))


class Mlp(nn.Module):
    """The authors' MLP."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.ModuleList([Block(6, 8), Block(8, 5)])
        self.code = nn.Linear(5, 3, bias=False)

    def forward(self, x):
        for layer in self.hidden:
            x = layer(x)
        return self.code(x)


class LeNet(nn.Module):
    """The authors' Fashion-MNIST LeNet, small: 12 x 12."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 3, 5, bias=False, padding=2)
        self.bn2d1 = nn.BatchNorm2d(3, eps=1e-4, affine=False)
        self.conv2 = nn.Conv2d(3, 4, 5, bias=False, padding=2)
        self.bn2d2 = nn.BatchNorm2d(4, eps=1e-4, affine=False)
        self.fc1 = nn.Linear(4 * 3 * 3, 7, bias=False)
        self.bn1d1 = nn.BatchNorm1d(7, eps=1e-4, affine=False)
        self.fc2 = nn.Linear(7, 4, bias=False)

    def forward(self, x):
        pool, leaky = nn.functional.max_pool2d, nn.functional.leaky_relu
        x = pool(leaky(self.bn2d1(self.conv1(x))), 2)
        x = pool(leaky(self.bn2d2(self.conv2(x))), 2)
        x = leaky(self.bn1d1(self.fc1(x.flatten(1))))
        return self.fc2(x)


def sequential():
    """Biases, affine batch norms, PyTorch's eps, more than ten modules."""
    layers, widths = [], [6, 8, 7, 6, 5]
    for inputs, outputs in zip(widths, widths[1:]):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.LeakyReLU(0.01)]
    return nn.Sequential(*layers, nn.Linear(5, 3))


def conv_sequential():
    """Convolutions with biases and affine norms, the second without a norm."""
    return nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.LeakyReLU(0.01),
                         nn.MaxPool2d(2), nn.Conv2d(3, 4, 3, padding=1), nn.LeakyReLU(0.01),
                         nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 2 * 3, 5))


def make(name, model, shape):
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) and module.affine:
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    x = torch.randn(200 if len(shape) == 1 else 40, *shape)
    model.train()
    for _ in range(5):
        model(torch.randn(64, *shape))
    model.eval()
    with torch.no_grad():
        codes = model(x)
        center = codes.mean(0) + 0.3
        scores = ((codes - center) ** 2).sum(1)
    save_file(model.state_dict(), OUT / f"{name}.safetensors")
    np.save(OUT / f"{name}-rows.npy", x.numpy())
    np.save(OUT / f"{name}-center.npy", center.numpy())
    np.save(OUT / f"{name}-scores.npy", scores.numpy())


def main():
    torch.manual_seed(7)
    OUT.mkdir(exist_ok=True)
    make("mlp", Mlp(), (6,))
    make("sequential", sequential(), (6,))
    make("plain", nn.Sequential(nn.Linear(6, 4, bias=False), nn.LeakyReLU(0.01),
                                nn.Linear(4, 2, bias=False)), (6,))
    make("lenet", LeNet(), (1, 12, 12))
    make("conv", conv_sequential(), (2, 8, 12))


if __name__ == "__main__":
    main()
