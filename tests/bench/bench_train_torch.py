#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The peer of bench_train: the same phases in PyTorch, as fast as its plain loops go. Rows
are one tensor, batches are gathered by index from a permutation, images and weights of
convolutions are in channels-last order, gradients are set to None, Adam runs in its
multi-tensor form; nothing is logged or moved.

usage: OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 bench_train_torch.py NET PHASE [SECONDS]
Nets and phases are those of bench_train, and the line printed is like its; `default` is
not offered.
"""
import resource
import sys
import time

import torch
from torch import nn

NETS = {'shuttle': (9, 27627, (32, 16, 8)),
        'cardio': (21, 1003, (32, 16, 8)),
        'wide': (784, 20000, (512, 256, 64))}
BATCH = 128


def hidden(inputs, outputs):
    return [nn.Linear(inputs, outputs, bias=False),
            nn.BatchNorm1d(outputs, eps=1e-4, affine=False), nn.LeakyReLU(0.01)]


def stack(sizes):
    layers = []
    for inputs, outputs in zip(sizes[:-2], sizes[1:-1]):
        layers += hidden(inputs, outputs)
    return layers + [nn.Linear(sizes[-2], sizes[-1], bias=False)]


def activated(layer, channels):
    return [layer, nn.BatchNorm2d(channels, eps=1e-4, affine=False), nn.LeakyReLU(0.01)]


def conv(inputs, outputs):
    layer = nn.Conv2d(inputs, outputs, 5, padding=2, bias=False)
    return activated(layer, outputs) + [nn.MaxPool2d(2)]


def deconv(inputs, outputs, padding=2):
    layer = nn.ConvTranspose2d(inputs, outputs, 5, padding=padding, bias=False)
    return activated(layer, outputs) + [nn.Upsample(scale_factor=2)]


def image_of(channels, *upsample):
    return [nn.Unflatten(1, (channels, 4, 4)), nn.LeakyReLU(0.01), *upsample]


def last(inputs, outputs):
    return [nn.ConvTranspose2d(inputs, outputs, 5, padding=2, bias=False), nn.Sigmoid()]


def mnist():
    encoder = [*conv(1, 8), *conv(8, 4), nn.Flatten(), nn.Linear(196, 32, bias=False)]
    decoder = [*image_of(2, nn.Upsample(scale_factor=2)), *deconv(2, 4), *deconv(4, 8, 3),
               *last(8, 1)]
    return encoder, decoder, (6316, 1, 28, 28)


def fmnist():
    encoder = [*conv(1, 16), *conv(16, 32), nn.Flatten(), *hidden(1568, 128),
               nn.Linear(128, 64, bias=False)]
    decoder = [nn.Linear(64, 128, bias=False),
               nn.BatchNorm1d(128, eps=1e-4, affine=False),
               *image_of(8, nn.Upsample(scale_factor=2)), *deconv(8, 32),
               *deconv(32, 16, 3), *last(16, 1)]
    return encoder, decoder, (6316, 1, 28, 28)


def cifar():
    encoder = [*conv(3, 32), *conv(32, 64), *conv(64, 128), nn.Flatten(),
               nn.Linear(2048, 128, bias=False)]
    decoder = [*image_of(8), *deconv(8, 128), *deconv(128, 64), *deconv(64, 32),
               *last(32, 3)]
    return encoder, decoder, (5000, 3, 32, 32)


def mlp(net):
    features, count, widths = NETS[net]
    sizes = (features,) + widths
    return stack(sizes), [*stack(sizes[::-1]), nn.Sigmoid()], (count, features)


def make(net, phase):
    lenets = {'mnist': mnist, 'fmnist': fmnist, 'cifar': cifar}
    encoder, decoder, shape = lenets[net]() if net in lenets else mlp(net)
    model = nn.Sequential(*encoder, *(decoder if phase == 'ae' else ()))
    x = torch.rand(shape)
    if net in lenets:
        model = model.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    return model, x


def batches(count):
    while True:
        order = torch.randperm(count)
        yield from order[:count - count % BATCH].split(BATCH)


def deepsad_loss(out, center, labels):
    distance = (out - center).pow(2).sum(1)
    labelled = (distance + 1e-6) ** labels
    return torch.where(labels == 0, distance, labelled).mean()


def steps(net, phase):
    model, x = make(net, phase)
    count = len(x)
    labels = torch.zeros(count)
    labels[:count // 100] = -1
    with torch.no_grad():
        center = model(x[:500]).mean(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, weight_decay=1e-6,
                                 foreach=True)
    for rows in batches(count):
        batch = x[rows]
        optimizer.zero_grad(set_to_none=True)
        out = model(batch)
        if phase == 'ae':
            loss = nn.functional.mse_loss(out, batch)
        else:
            loss = deepsad_loss(out, center, labels[rows])
        loss.backward()
        optimizer.step()
        yield


def main():
    net, phase = sys.argv[1:3]
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 1
    chunk = 50 if net in NETS else 1
    torch.set_num_threads(1)
    torch.manual_seed(1)
    loop = steps(net, phase)
    for _ in range(20 if net in NETS else 2):
        next(loop)
    best = float('inf')
    end = time.perf_counter() + seconds
    while best == float('inf') or time.perf_counter() < end:
        start = time.process_time()
        for _ in range(chunk):
            next(loop)
        best = min(best, time.process_time() - start)
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f'net {net} phase {phase} samples_per_second {chunk * BATCH / best:.0f} '
          f'mib {mib:.0f}')


if __name__ == '__main__':
    main()
