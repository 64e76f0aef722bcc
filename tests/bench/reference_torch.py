#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whether `deepsad train --recipe reference` is the paper's method: the whole of it once more
in PyTorch (Debian's python3-torch), from the same initial weights and with the same batches,
which both draw by the same generator, and the test AUC of both side by side. What is left
between them is rounding, which training amplifies; another seed moves the AUC far more.

usage: OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 /usr/bin/python3 reference_torch.py
           [--net fashion-mnist-lenet] [--data FOLDER] [--normal 0] [--anomaly 1]
           [--labeled 0.05] [--epochs 150] [--seeds 1,2,3] [--deepsad build/deepsad]
FOLDER holds the four IDX files of MNIST or Fashion-MNIST."""
import argparse
import csv
import gzip
import os
import subprocess
import tempfile
import time

import numpy as np
import torch
from torch import nn

BATCH, MASK = 128, (1 << 64) - 1


# ---- The generator of src/nn/rng.c: xoshiro256** from splitmix64 ---------------------------

def splitmix(state):
    state = (state + 0x9E3779B97F4A7C15) & MASK
    z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return state, z ^ (z >> 31)


class Generator:
    def __init__(self, seed, stream):
        mixed = splitmix(seed)[1] ^ ((stream * 0xD1342543DE82EF95) & MASK)
        self.s = []
        for _ in range(4):
            mixed, value = splitmix(mixed)
            self.s.append(value)

    def next(self):
        a, b, c, d = self.s
        x = (b * 5) & MASK
        result = (((x << 7) | (x >> 57)) * 9) & MASK
        c ^= a
        d ^= b
        self.s = [a ^ d, b ^ c, c ^ ((b << 17) & MASK), ((d << 45) | (d >> 19)) & MASK]
        return result

    def below(self, bound):
        product = self.next() * bound
        if product & MASK < bound:
            while product & MASK < ((1 << 64) - bound) % bound:
                product = self.next() * bound
        return product >> 64

    def shuffle(self, order):
        for i in range(len(order), 1, -1):
            j = self.below(i)
            order[i - 1], order[j] = order[j], order[i - 1]

    def uniform(self, shape, bound):
        values = [self.next() >> 40 for _ in range(int(np.prod(shape)))]
        unit = np.array(values, np.float32) * np.float32(2.0 ** -24)
        return torch.tensor(((2 * unit - 1) * np.float32(bound)).reshape(shape))


# ---- The networks --------------------------------------------------------------------------

def normalised(layer, channels, flat=False):
    norm = nn.BatchNorm1d if flat else nn.BatchNorm2d
    return [layer, norm(channels, eps=1e-4, affine=False), nn.LeakyReLU(0.01)]


def conv(inputs, outputs):
    layer = nn.Conv2d(inputs, outputs, 5, padding=2, bias=False)
    return normalised(layer, outputs) + [nn.MaxPool2d(2)]


def deconv(inputs, outputs, padding=2):
    layer = nn.ConvTranspose2d(inputs, outputs, 5, padding=padding, bias=False)
    return normalised(layer, outputs) + [nn.Upsample(scale_factor=2)]


def dense(inputs, outputs):
    return nn.Linear(inputs, outputs, bias=False)


def last(channels):
    return [nn.ConvTranspose2d(channels, 1, 5, padding=2, bias=False), nn.Sigmoid()]


def mnist():
    view = [nn.Unflatten(1, (2, 4, 4)), nn.LeakyReLU(0.01), nn.Upsample(scale_factor=2)]
    return (nn.Sequential(*conv(1, 8), *conv(8, 4), nn.Flatten(), dense(196, 32)),
            nn.Sequential(*view, *deconv(2, 4), *deconv(4, 8, 3), *last(8)))


def fashion():
    first, *rest = normalised(dense(64, 128), 128, flat=True)
    view = [first, *rest, nn.Unflatten(1, (8, 4, 4)), nn.Upsample(scale_factor=2)]
    return (nn.Sequential(*conv(1, 16), *conv(16, 32), nn.Flatten(),
                          *normalised(dense(1568, 128), 128, flat=True), dense(128, 64)),
            nn.Sequential(*view, *deconv(8, 32), *deconv(32, 16, 3), *last(16)))


NETS = {"mnist-lenet": mnist, "fashion-mnist-lenet": fashion}


def draw(network, generator):
    """Weights as src/nn/network.c draws them, layer by layer: uniform in +-1/sqrt(fan in)."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            shape = (layer.in_features, layer.out_features)
            layer.weight.data = generator.uniform(shape, shape[0] ** -0.5).T.contiguous()
        elif isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            shape = tuple(layer.weight.shape)
            layer.weight.data = generator.uniform(shape, (shape[1] * 25) ** -0.5)


# ---- The method ----------------------------------------------------------------------------

def passes(count, epochs, generator):
    order = list(range(count))
    for epoch in range(epochs):
        generator.shuffle(order)
        for at in range(0, count - count % BATCH, BATCH):
            yield epoch, order[at:at + BATCH]


def pretrain(encoder, decoder, x, epochs, generator):
    network = nn.Sequential(encoder, decoder).train()
    adam = torch.optim.Adam(network.parameters(), lr=1e-4, weight_decay=0.5e-3, foreach=True)
    for _, rows in passes(len(x), epochs, generator):
        adam.zero_grad(set_to_none=True)
        nn.functional.mse_loss(network(x[rows]), x[rows]).backward()
        adam.step()


def center_of(encoder, x):
    with torch.no_grad():
        center = torch.cat([encoder.eval()(block) for block in x.split(500)]).mean(0)
    near = center.abs() < 0.1
    center[near] = torch.where(center[near] < 0, -0.1, 0.1)
    return center


def fit(encoder, center, x, labels, epochs, generator):
    adam = torch.optim.Adam(encoder.train().parameters(), lr=1e-4, weight_decay=0.5e-6,
                            foreach=True)
    for epoch, rows in passes(len(x), epochs, generator):
        adam.param_groups[0]["lr"] = 1e-5 if epoch >= 50 else 1e-4
        adam.zero_grad(set_to_none=True)
        distance = (encoder(x[rows]) - center).pow(2).sum(1)
        y = labels[rows]
        torch.where(y == 0, distance, (distance + 1e-6) ** y).mean().backward()
        adam.step()


def deepsad_in_torch(options, train, test, seed):
    x, labels = train
    generator = Generator(seed, 0x100)
    encoder, decoder = (part.to(memory_format=torch.channels_last)
                        for part in NETS[options.net]())
    draw(encoder, generator)  # what an encoder without pretraining would start from
    draw(encoder, generator)
    draw(decoder, generator)
    pretrain(encoder, decoder, x, options.epochs, generator)
    center = center_of(encoder, x)
    fit(encoder, center, x, labels, options.epochs, generator)
    with torch.no_grad():
        return torch.cat([(encoder.eval()(block) - center).pow(2).sum(1)
                          for block in test.split(500)]).numpy()


# ---- Data, and ours ------------------------------------------------------------------------

def path(options, part):
    for end in (".gz", ""):
        name = os.path.join(options.data, part + end)
        if os.path.exists(name):
            return name
    raise SystemExit(f"{options.data}: no {part}[.gz]")


def idx(name, offset):
    with (gzip.open if name.endswith(".gz") else open)(name, "rb") as file:
        return np.frombuffer(file.read(), np.uint8, offset=offset)


def images(x):
    return torch.tensor(x).reshape(-1, 1, 28, 28).contiguous(
        memory_format=torch.channels_last)


def tool(options, command, *arguments):
    subprocess.run([options.deepsad, command, *arguments], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def setting(options, seed):
    """How both get the same rows: the training images, of these two classes."""
    return [path(options, "train-images-idx3-ubyte"),
            "--labels", path(options, "train-labels-idx1-ubyte"),
            "--normal-class", str(options.normal), "--anomaly-class", str(options.anomaly),
            "--labeled-anomalies", str(options.labeled), "--seed", str(seed)]


def training_rows(options, seed, folder):
    """Unlabeled rows first, then anomalies, each in the order of the file: as deepsad does."""
    tool(options, "split", *setting(options, seed), "--test", "0", "--out", folder)
    with open(os.path.join(folder, "train.csv"), encoding="ascii") as file:
        next(file)
        rows = [line.rsplit(",", 1) for line in file.read().splitlines()]
    x = np.array([np.array(row.split(","), np.float32) for row, _ in rows])
    anomalous = np.array([label == "anomalous" for _, label in rows])
    order = np.argsort(anomalous, kind="stable")
    return images(x[order]), torch.tensor(np.where(anomalous[order], -1.0, 0.0)).float()


def deepsad_in_c(options, seed, folder):
    epochs = str(options.epochs)
    model, scores = os.path.join(folder, "model"), os.path.join(folder, "scores.csv")
    tool(options, "train", *setting(options, seed), "--threads", "1", "--recipe", "reference",
         "--set", "calibration=0", "--set", "network=" + options.net, "--set",
         "epochs=" + epochs, "--set", "pretrain_epochs=" + epochs, "--out", model)
    tool(options, "score", model, path(options, "t10k-images-idx3-ubyte"), "--output", scores)
    with open(scores, encoding="ascii") as file:
        return np.array([float(row["score"]) for row in csv.DictReader(file)])


def auc(scores, anomalous):
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    positives = anomalous.sum()
    above = ranks[anomalous].sum() - positives * (positives + 1) / 2
    return 100 * above / (positives * (len(scores) - positives))


def compare(options, seed):
    test = idx(path(options, "t10k-images-idx3-ubyte"), 16).astype(np.float32) / 255
    anomalous = idx(path(options, "t10k-labels-idx1-ubyte"), 8) != options.normal
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        ours = auc(deepsad_in_c(options, seed, folder), anomalous)
        middle = time.monotonic()
        train = training_rows(options, seed, folder)
        theirs = auc(deepsad_in_torch(options, train, images(test), seed), anomalous)
    print(f"{options.net} seed {seed}, {options.epochs} + {options.epochs} epochs: AUC "
          f"{ours:.2f} ours, {theirs:.2f} PyTorch; {middle - start:.0f} s, "
          f"{time.monotonic() - middle:.0f} s", flush=True)
    return ours, theirs


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", choices=NETS, default="fashion-mnist-lenet")
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--normal", type=int, default=0)
    parser.add_argument("--anomaly", type=int, default=1)
    parser.add_argument("--labeled", type=float, default=0.05)
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--deepsad", default="build/deepsad")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = np.array([compare(options, int(seed)) for seed in options.seeds.split(",")])
    ours, theirs = results.mean(0)
    spread = results.std(0)
    print(f"mean of {len(results)} seeds: {ours:.2f} +- {spread[0]:.2f} ours, {theirs:.2f} +- "
          f"{spread[1]:.2f} PyTorch; apart by {abs(ours - theirs):.2f} (limit 1.0)")
    raise SystemExit(int(abs(ours - theirs) > 1.0))


if __name__ == "__main__":
    main()
