#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The peer of bench_score_images.c: PyTorch, one thread, eval mode, no gradients. Answers on
standard output to lines `ARCHITECTURE ROWS SECONDS` on standard input: the best rate of all
the ways that a user has to run the network, and its name.
"""
import sys
import time
import warnings

import torch
from torch import nn

RUNS = 5
NETS = {  # channels and side of the input, channels of the convolutions, dense widths
    'mnist-lenet': (1, 28, (8, 4), (32,)),
    'fashion-mnist-lenet': (1, 28, (16, 32), (128, 64)),
    'cifar-10-lenet': (3, 32, (32, 64, 128), (128,)),
}


class LeNet(nn.Module):
    """|phi(x) - center|^2, phi being an encoder of the paper"""

    def __init__(self, name):
        super().__init__()
        channels, side, convs, widths = NETS[name]
        layers = []
        for outputs in convs:
            layers += [nn.Conv2d(channels, outputs, 5, bias=False, padding=2),
                       nn.BatchNorm2d(outputs, eps=1e-4, affine=False),
                       nn.LeakyReLU(), nn.MaxPool2d(2, 2)]
            channels, side = outputs, side // 2
        inputs = channels * side * side
        layers.append(nn.Flatten())
        for i, outputs in enumerate(widths):
            layers.append(nn.Linear(inputs, outputs, bias=False))
            if i + 1 < len(widths):
                layers += [nn.BatchNorm1d(outputs, eps=1e-4, affine=False), nn.LeakyReLU()]
            inputs = outputs
        self.net = nn.Sequential(*layers)
        self.register_buffer('center', torch.rand(inputs))

    def forward(self, x):
        return torch.sum((self.net(x) - self.center) ** 2, dim=1)


def ways(name, rows):
    """(name, function) of each way to run it, warmed up"""
    channels, side = NETS[name][:2]
    x = torch.rand(rows, channels, side, side)
    for layout, format_ in (('contiguous', torch.contiguous_format),
                            ('channels_last', torch.channels_last)):
        net = LeNet(name).eval().to(memory_format=format_)
        images = x.to(memory_format=format_)
        yield layout, lambda net=net, images=images: net(images)
        frozen = torch.jit.freeze(torch.jit.trace(net, images))
        yield layout + ' frozen', lambda net=frozen, images=images: net(images)
        best = torch.jit.optimize_for_inference(torch.jit.trace(net, images))
        yield layout + ' optimized', lambda net=best, images=images: net(images)


def seconds_of(call, seconds):
    best = float('inf')
    for _ in range(RUNS):
        start, spent, calls = time.process_time(), 0, 0
        while spent < seconds / RUNS:
            call()
            calls += 1
            spent = time.process_time() - start
        best = min(best, spent / calls)
    return best


def main():
    warnings.filterwarnings('ignore')
    torch.set_num_threads(1)
    torch.manual_seed(0)
    made = {}
    with torch.no_grad():
        for line in sys.stdin:
            name, rows, seconds = line.split()
            if (name, rows) not in made:
                made[name, rows] = list(ways(name, int(rows)))
                for _, call in made[name, rows]:
                    for _ in range(5):  # the first calls of a traced module compile it
                        call()
            best = min((seconds_of(call, float(seconds)), way)
                       for way, call in made[name, rows])
            print(int(rows) / best[0], best[1].replace(' ', '_'), flush=True)


if __name__ == '__main__':
    main()
