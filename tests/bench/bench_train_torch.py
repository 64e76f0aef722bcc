#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The peer of bench_train: the same phases in PyTorch, as fast as its plain loops go. Rows
are one tensor, batches are gathered by index from a permutation, gradients are set to None,
Adam runs in its multi-tensor form; nothing is logged or moved.

usage: OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 bench_train_torch.py NET PHASE [SECONDS]
Nets, phases and the line printed are those of bench_train; `default` is not offered.
"""
import sys
import time

import torch
from torch import nn

NETS = {'shuttle': (9, 27627, (32, 16, 8)),
        'cardio': (21, 1003, (32, 16, 8)),
        'wide': (784, 20000, (512, 256, 64))}
BATCH, CHUNK = 128, 50


def hidden(inputs, outputs):
    return [nn.Linear(inputs, outputs, bias=False),
            nn.BatchNorm1d(outputs, eps=1e-4, affine=False), nn.LeakyReLU(0.01)]


def stack(sizes):
    layers = []
    for inputs, outputs in zip(sizes[:-2], sizes[1:-1]):
        layers += hidden(inputs, outputs)
    return layers + [nn.Linear(sizes[-2], sizes[-1], bias=False)]


def batches(count):
    while True:
        order = torch.randperm(count)
        yield from order[:count - count % BATCH].split(BATCH)


def deepsad_loss(out, center, labels):
    distance = (out - center).pow(2).sum(1)
    labelled = (distance + 1e-6) ** labels
    return torch.where(labels == 0, distance, labelled).mean()


def steps(net, phase):
    features, count, widths = NETS[net]
    x = torch.rand(count, features)
    labels = torch.zeros(count)
    labels[:count // 100] = -1
    layers = stack((features,) + widths)
    if phase == 'ae':
        layers += stack(widths[::-1] + (features,)) + [nn.Sigmoid()]
    model = nn.Sequential(*layers)
    with torch.no_grad():
        center = model(x[:1000]).mean(0)
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
    torch.set_num_threads(1)
    torch.manual_seed(1)
    loop = steps(net, phase)
    for _ in range(20):
        next(loop)
    best = float('inf')
    end = time.process_time() + seconds
    while time.process_time() < end:
        start = time.process_time()
        for _ in range(CHUNK):
            next(loop)
        best = min(best, time.process_time() - start)
    print(f'net {net} phase {phase} samples_per_second {CHUNK * BATCH / best:.0f}')


if __name__ == '__main__':
    main()
