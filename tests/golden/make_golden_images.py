#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes golden_images.h: what PyTorch computes for the layers on images and for the paper's
three LeNets, in their real sizes. Weights, images and all other inputs come from a hash of
their index, which the test computes as well, and large results are kept as projections onto
such vectors: the file stays small. Debian's python3-torch, in double.

The seed of each network is the first one of which no leaky ReLU and no maximum lies so near
to its kink that rounding to float would take the other side: single such flips would show
in the gradients. In training they cannot be avoided, and Adam makes them grow: beside what
training does in double stands how far PyTorch in float is from that.

usage: /usr/bin/python3 tests/golden/make_golden_images.py
"""
import contextlib
import os

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from make_golden import emit, emit_losses

PROJECTIONS, HEAD, STEPS, ROWS_OF_LAYER = 3, 24, 20, 3
ETA, RATE, DECAY = 1.5, 1e-4, 5e-2
MARGIN = 1e-6


# ---- Inputs, as tests/golden_check.h has them ----

def mix(x):
    x = np.asarray(x, dtype=np.uint32)
    with np.errstate(over='ignore'):
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7feb352d)
        x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846ca68b)
    return x ^ (x >> np.uint32(16))


def hashes(seed, first, count):
    index = np.arange(first, first + count, dtype=np.uint64)
    return mix((index + np.uint64(seed * 0x9e3779b9)) % np.uint64(2 ** 32))


def values(seed, first, count, scale=1):
    """Uniform in [-1, 1), times `scale`, rounded to float."""
    unit = (hashes(seed, first, count) >> np.uint32(8)) * 2.0 ** -23 - 1
    return torch.from_numpy((unit.astype(np.float32) * np.float32(scale)).astype(np.float64))


def images(seed, rows, shape):
    """Stripes of a width and direction for each image and channel, and noise; in [0, 1)."""
    channels, height, width = shape
    size = channels * height * width
    noise = (hashes(seed, 0, rows * size) >> np.uint32(20)).astype(np.float64) * 2.0 ** -13
    planes = hashes(seed + 1, 0, rows * channels)
    a, b, c = (planes >> 3) % 8, (planes >> 9) % 8, (planes >> 15) % 64
    v, u = np.arange(height).reshape(1, -1, 1), np.arange(width).reshape(1, 1, -1)
    phase = (a.reshape(-1, 1, 1) * v + b.reshape(-1, 1, 1) * u + c.reshape(-1, 1, 1)) % 64
    stripes = np.minimum(phase, 64 - phase).astype(np.float64) / 64
    return torch.from_numpy(noise.reshape(rows, channels, height, width)
                            + stripes.reshape(rows, channels, height, width))


def labels_of(rows):
    i = torch.arange(rows)
    return torch.where(i % 7 == 3, -1, torch.where(i % 5 == 1, 1, 0)).double()


# ---- Networks: layers in the order of src/nn, weights by their place there ----

class View(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.reshape(-1, *self.shape)


class Upsample(nn.Module):
    """Nearest, to twice the sides; one more row or column repeats the last."""

    def __init__(self, odd_height=0, odd_width=0):
        super().__init__()
        self.odd = (0, odd_width, 0, odd_height)

    def forward(self, x):
        return F.pad(F.interpolate(x, scale_factor=2), self.odd, mode='replicate')


def conv(inputs, outputs, kernel=5):
    return nn.Conv2d(inputs, outputs, kernel, bias=False, padding=kernel // 2)


def deconv(inputs, outputs, padding=2, kernel=5):
    return nn.ConvTranspose2d(inputs, outputs, kernel, bias=False, padding=padding)


def dense(inputs, outputs):
    return nn.Linear(inputs, outputs, bias=False)


def norm2d(channels):
    return [nn.BatchNorm2d(channels, eps=1e-4, affine=False), nn.LeakyReLU(0.01)]


def norm1d(width):
    return [nn.BatchNorm1d(width, eps=1e-4, affine=False), nn.LeakyReLU(0.01)]


def mnist():
    encoder = [conv(1, 8), *norm2d(8), nn.MaxPool2d(2), conv(8, 4), *norm2d(4),
               nn.MaxPool2d(2), View(4 * 7 * 7), dense(4 * 7 * 7, 32)]
    decoder = [View(2, 4, 4), nn.LeakyReLU(0.01), Upsample(), deconv(2, 4), *norm2d(4),
               Upsample(), deconv(4, 8, 3), *norm2d(8), Upsample(), deconv(8, 1), nn.Sigmoid()]
    return encoder, decoder


def fashion():
    encoder = [conv(1, 16), *norm2d(16), nn.MaxPool2d(2), conv(16, 32), *norm2d(32),
               nn.MaxPool2d(2), View(32 * 7 * 7), dense(32 * 7 * 7, 128), *norm1d(128),
               dense(128, 64)]
    decoder = [dense(64, 128), *norm1d(128), View(8, 4, 4), Upsample(), deconv(8, 32),
               *norm2d(32), Upsample(), deconv(32, 16, 3), *norm2d(16), Upsample(),
               deconv(16, 1), nn.Sigmoid()]
    return encoder, decoder


def cifar():
    encoder = [conv(3, 32), *norm2d(32), nn.MaxPool2d(2), conv(32, 64), *norm2d(64),
               nn.MaxPool2d(2), conv(64, 128), *norm2d(128), nn.MaxPool2d(2),
               View(128 * 4 * 4), dense(128 * 4 * 4, 128)]
    decoder = [View(8, 4, 4), nn.LeakyReLU(0.01), deconv(8, 128), *norm2d(128), Upsample(),
               deconv(128, 64), *norm2d(64), Upsample(), deconv(64, 32), *norm2d(32),
               Upsample(), deconv(32, 3), nn.Sigmoid()]
    return encoder, decoder


def weighted(network):
    return [layer for layer in network if hasattr(layer, 'weight') and layer.weight is not None]


def norms(network):
    return [layer for layer in network if hasattr(layer, 'running_mean')]


def bound(layer):
    w = layer.weight
    fan_in = w.shape[1] * (w.shape[2] * w.shape[3] if w.dim() == 4 else 1)
    return np.float32(1) / np.sqrt(np.float32(fan_in))


def ours(layer, tensor):
    """As src/nn keeps it: of a dense layer (inputs, outputs)."""
    return (tensor.t() if isinstance(layer, nn.Linear) else tensor).reshape(-1)


def fill(network, seed):
    """Weights and running statistics."""
    first = 0
    for layer in weighted(network):
        w = layer.weight
        drawn = values(seed, first, w.numel(), bound(layer))
        w.data = drawn.reshape(w.shape[1], w.shape[0]).t().contiguous() \
            if isinstance(layer, nn.Linear) else drawn.reshape(w.shape)
        first += w.numel()
    first = 0
    for layer in norms(network):
        count = layer.running_mean.numel()
        layer.running_mean.copy_(values(seed + 1, first, count, 0.25))
        layer.running_var.copy_(1 + values(seed + 1, first + count, count, 0.5))
        first += 2 * count


def state(network):
    return torch.cat([s for layer in norms(network)
                      for s in (layer.running_mean, layer.running_var)])


def margin(network, x):
    """The least distance of any value from a kink, in the forward pass."""
    least = np.inf
    with torch.no_grad():
        for layer in network:
            if isinstance(layer, nn.LeakyReLU):
                least = min(least, x.abs().min().item())
            if isinstance(layer, nn.MaxPool2d):
                windows = F.unfold(x.reshape(-1, 1, *x.shape[2:]), 2, stride=2)
                top = windows.topk(2, dim=1)[0]
                least = min(least, (top[:, 0] - top[:, 1]).min().item())
            x = layer(x)
    return least


# ---- Results ----

def project(vector, seed=99):
    """Onto PROJECTIONS vectors, then the norm."""
    vector = vector.detach().reshape(-1)
    n = vector.numel()
    sums = [torch.dot(vector, values(seed, i * n, n)) for i in range(PROJECTIONS)]
    return torch.stack(sums + [vector.norm()])


def emit_blocks(name, network, of):
    """The beginning of each layer's values, and their projections."""
    layers = weighted(network)
    blocks = [ours(layer, of(layer)) for layer in layers]
    heads = [F.pad(block[:HEAD], (0, max(0, HEAD - block.numel()))) for block in blocks]
    emit(f'{name}_heads', torch.cat(heads))
    emit(f'{name}_projections', torch.cat([project(block) for block in blocks]))


def emit_outputs(name, out):
    """The beginning of each row, and its projections."""
    rows = out.reshape(out.shape[0], -1)
    emit(f'{name}_heads', rows[:, :HEAD])
    emit(f'{name}_projections', torch.cat([project(row) for row in rows]))


def paper_loss(phi, center, labels):
    d = ((phi - center) ** 2).sum(1)
    return torch.where(labels == 0, d, ETA * (d + 1e-6) ** labels).mean()


def one_pass(name, network, loss_of, x):
    """Forward in both modes, loss, gradients, the statistics afterwards."""
    network.eval()
    emit_outputs(f'{name}_eval', network(x))
    network.train()
    out = network(x)
    loss = loss_of(out, x)
    loss.backward()
    emit_outputs(f'{name}_train', out)
    emit_losses(f'{name}_loss', [loss.item()])
    emit_blocks(f'{name}_grads', network, lambda layer: layer.weight.grad)
    emit(f'{name}_state', state(network))


def train(layers, seed, loss_of, batches, dtype):
    """The losses, what each layer's weights moved, and the statistics."""
    network = nn.Sequential(*layers)
    fill(network.double(), seed)
    before = [layer.weight.data.clone() for layer in weighted(network)]
    network.to(dtype).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE, weight_decay=DECAY)
    losses = []
    for x in batches:
        optimizer.zero_grad()
        loss = loss_of(network(x.to(dtype)), x.to(dtype))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    moved = [ours(layer, layer.weight.data.double() - w)
             for layer, w in zip(weighted(network), before)]
    return losses, moved, state(network).double()


def training(name, layers, seed, loss_of, batches):
    losses, moved, statistics = train(layers, seed, loss_of, batches, torch.float64)
    losses32, moved32, _ = train(layers, seed, loss_of, batches, torch.float32)
    emit_losses(f'{name}_losses', losses)
    emit_losses(f'{name}_losses_spread', [abs(a / b - 1) for a, b in zip(losses32, losses)])
    emit(f'{name}_moved', torch.cat([project(block) for block in moved]))
    emit(f'{name}_moved_spread',
         torch.stack([(a - b).norm() / b.norm() for a, b in zip(moved32, moved)]))
    emit(f'{name}_trained', statistics)


def find_seed(layers, shape, rows):
    for seed in range(10, 2000, 10):
        network = nn.Sequential(*layers)
        fill(network, seed)
        network.train()
        if margin(network, images(seed + 3, rows, shape)) > MARGIN:
            return seed
    raise SystemExit('no seed keeps away from the kinks')


def emit_network(name, layers, shape, rows, loss_of):
    seed = find_seed(layers, shape, rows)
    network = nn.Sequential(*layers)
    print(f'enum {{ {name.upper()}_SEED = {seed}, {name.upper()}_ROWS = {rows} }};')
    x = images(seed + 3, rows, shape)
    fill(network, seed)
    one_pass(name, network, lambda out, x: loss_of(out, x, seed), x)
    batches = [images(1000 + 10 * i, rows, shape) for i in range(STEPS)]
    training(name, layers, seed, lambda out, x: loss_of(out, x, seed), batches)


def squared(out, x, seed):
    return F.mse_loss(out, x)


def deepsad(phi, x, seed):
    center = values(seed + 2, 0, phi.shape[1], 0.5)
    return paper_loss(phi, center.to(phi.dtype), labels_of(phi.shape[0]).to(phi.dtype))


def emit_layer(name, layer, shape):
    """One layer: outputs, the gradients by inputs and weights, and the statistics, where
    the gradient by the outputs is given."""
    rows, size = ROWS_OF_LAYER, int(np.prod(shape))
    network = nn.Sequential(layer)
    fill(network, 5)
    x = values(6, 0, rows * size).reshape(rows, *shape).requires_grad_()
    network.eval()
    with torch.no_grad():
        eval_out = network(x)
    network.train()
    out = network(x)
    out.backward(values(7, 0, out.numel()).reshape(out.shape))
    emit(f'golden_{name}_eval', eval_out)
    emit(f'golden_{name}_train', out)
    emit(f'golden_{name}_dx', x.grad)
    if weighted(network):
        emit(f'golden_{name}_dw', ours(layer, layer.weight.grad))
    if norms(network):
        emit(f'golden_{name}_state', state(network))


def main():
    print('/* SPDX-License-Identifier: Apache-2.0 */')
    print(f'/* Written by make_golden_images.py, PyTorch {torch.__version__}. */')
    print('/* clang-format off */')
    print(f'enum {{ GOLDEN_PROJECTIONS = {PROJECTIONS}, GOLDEN_HEAD = {HEAD}, '
          f'GOLDEN_IMAGE_STEPS = {STEPS}, GOLDEN_LAYER_ROWS = {ROWS_OF_LAYER} }};')
    for name, value in (('ETA', ETA), ('RATE', RATE), ('DECAY', DECAY)):
        print(f'#define GOLDEN_IMAGE_{name} {value!r}F')
    emit_layer('conv', conv(3, 4), (3, 7, 6))
    emit_layer('conv3', conv(2, 5, 3), (2, 4, 9))
    emit_layer('conv7', conv(2, 3, 7), (2, 2, 3))
    emit_layer('deconv', deconv(4, 3, 2), (4, 5, 6))
    emit_layer('deconv_cut', deconv(4, 3, 3), (4, 6, 5))
    emit_layer('pool', nn.MaxPool2d(2), (3, 7, 6))
    emit_layer('upsample', Upsample(1, 0), (3, 3, 4))
    emit_layer('norm2d', nn.BatchNorm2d(3, eps=1e-4, affine=False), (3, 4, 5))
    emit_layer('norm1d', nn.BatchNorm1d(7, eps=1e-4, affine=False), (7,))
    for name, parts, shape, rows in (('mnist', mnist, (1, 28, 28), 19),
                                     ('fashion', fashion, (1, 28, 28), 18),
                                     ('cifar', cifar, (3, 32, 32), 7)):
        encoder, decoder = parts()
        emit_network(f'golden_{name}_encoder', encoder, shape, rows, deepsad)
        encoder, decoder = parts()
        emit_network(f'golden_{name}_autoencoder', encoder + decoder, shape, rows, squared)


if __name__ == '__main__':
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'golden_images.h')
    with open(path, 'w', encoding='ascii') as header, contextlib.redirect_stdout(header):
        main()
