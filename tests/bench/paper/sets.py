# SPDX-License-Identifier: Apache-2.0
"""The data sets of the experiments, from folders that the user names.

Images: MNIST and Fashion-MNIST as IDX files (.gz or not), CIFAR-10 as its binary batches; the
sets' own training and test parts. (A single file cifar10*.bin is cut in two.) Tables: one CSV
file a set, features and last `label` (normal, anomalous). What is not there is not an error: there() says so."""
import collections
import csv
import functools
import gzip
import pathlib

import numpy as np

IMAGES = ("mnist", "fashion", "cifar")
CLASSIC = ("arrhythmia", "cardio", "satellite", "satimage-2", "shuttle", "thyroid")
DEBIAN_FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")
CIFAR_FOLDERS = ("cifar", "cifar10", "cifar-10", "cifar-10-batches-bin")
CIFAR_RECORD = 1 + 3 * 32 * 32

# x: bytes (rows, height, width) or (rows, 3, height, width); y: classes 0 to 9
Images = collections.namedtuple("Images", "train_x train_y test_x test_y note")
# x: float32 (rows, features), NaN where a cell is empty; anomalous: (rows,) of bool
Table = collections.namedtuple("Table", "x anomalous")


class Sources:
    """Where data is looked for: `data` and `fashion` are folders or None."""

    def __init__(self, data, fashion=None):
        self.data = pathlib.Path(data) if data else None
        self.fashion = pathlib.Path(fashion) if fashion else None

    def there(self, name):
        """The set's folder or file, or None."""
        if name in CLASSIC:
            return first_file(self.data, (f"{name}.csv", f"{name}.csv.gz"))
        if name == "cifar":
            return self.cifar_folder()
        folders = [self.data and self.data / "mnist"] if name == "mnist" else [
            self.fashion, self.data and self.data / "fashion-mnist", DEBIAN_FASHION]
        return next((f for f in folders if f and idx_file(f, "train-images-idx3")), None)

    def cifar_folder(self):
        folders = [self.data / name for name in CIFAR_FOLDERS] if self.data else []
        alone = sorted(self.data.glob("cifar10*.bin*")) if self.data else []
        return next((f for f in folders if first_file(f, batch_names("test_batch"))),
                    alone[0] if alone else None)

    @functools.lru_cache(maxsize=None)
    def images(self, name):
        if name == "cifar":
            path = self.there(name)
            return read_cifar(path) if path.is_dir() else cut_cifar(path)
        folder = self.there(name)
        return Images(*(read_idx(idx_file(folder, f"{part}-{kind}")) for part in ("train", "t10k")
                        for kind in ("images-idx3", "labels-idx1")), note=str(folder))

    @functools.lru_cache(maxsize=None)
    def table(self, name):
        return read_csv(self.there(name))


def first_file(folder, names):
    return next((folder / name for name in names if folder and (folder / name).is_file()), None)


def idx_file(folder, stem):
    return first_file(folder, (f"{stem}-ubyte.gz", f"{stem}-ubyte"))


def batch_names(stem):
    return f"{stem}.bin", f"{stem}.bin.gz"


def read_bytes(path):
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def read_idx(path):
    data = read_bytes(path)
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise ValueError(f"{path}: not an IDX file of bytes")
    begin = 4 + 4 * data[3]
    shape = [int.from_bytes(data[i:i + 4], "big") for i in range(4, begin, 4)]
    return np.frombuffer(data, np.uint8, offset=begin).reshape(shape)


def read_cifar(folder):
    """Five batches of training and one of test; with some of the training batches only,
    those."""
    names = [batch_names(f"data_batch_{i}") for i in range(1, 6)]
    train = [path for path in (first_file(folder, name) for name in names) if path]
    test = first_file(folder, batch_names("test_batch"))
    if not train:
        raise ValueError(f"{folder}: no data_batch_1.bin to data_batch_5.bin")
    return Images(*cifar_records(train), *cifar_records([test]),
                  note=f"{folder}, {len(train)} of 5 training batches")


def cut_cifar(path):
    """A file of records alone, for a quick look: its last fourth is the test."""
    x, y = cifar_records([path])
    cut = len(x) * 3 // 4
    return Images(x[:cut], y[:cut], x[cut:], y[cut:],
                  note=f"{path} ALONE: {cut} rows to train, {len(x) - cut} to test, not the "
                       "paper's sets")


def cifar_records(paths):
    data = np.frombuffer(b"".join(map(read_bytes, paths)), np.uint8)
    if len(data) % CIFAR_RECORD:
        raise ValueError(f"{paths[0]}: not CIFAR-10 records of {CIFAR_RECORD} bytes")
    records = data.reshape(-1, CIFAR_RECORD)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def read_csv(path):
    lines = list(csv.reader(read_bytes(path).decode().splitlines()))
    if not lines or lines[0][-1:] != ["label"]:
        raise ValueError(f"{path}:1: the last column must be `label`")
    for number, row in enumerate(lines[1:], 2):
        if row[-1:] not in (["normal"], ["anomalous"]):
            raise ValueError(f"{path}:{number}: a label must be normal or anomalous")
    x = [[float(cell) if cell else np.nan for cell in row[:-1]] for row in lines[1:]]
    return Table(np.array(x, np.float32), np.array([row[-1] == "anomalous" for row in lines[1:]]))
