# SPDX-License-Identifier: Apache-2.0
"""The safetensors format from its description, independent of src/model: 8 bytes of
length, a JSON header, float32 tensors back to back."""
import hashlib
import json
import struct

import numpy as np


def read(path):
    """(tensors by name, metadata)"""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__", {})
    body = data[8 + length:]
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        assert entry["dtype"] == "F32", name
        tensors[name] = np.frombuffer(body[begin:end], "<f4").reshape(entry["shape"])
    return tensors, metadata


def write(path, tensors, metadata, order=sorted):
    """Tensors in alphabetical order, the header padded with spaces: unlike our writer."""
    header, body, table = {"__metadata__": metadata}, b"", ""
    for name in order(tensors):
        data = np.ascontiguousarray(tensors[name], "<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensors[name].shape),
                        "data_offsets": [len(body), len(body) + len(data)]}
        body += data
        table += " ".join([name, *map(str, tensors[name].shape)]) + "\n"
    metadata["deepsad.sha256"] = hashlib.sha256(
        f"{metadata['deepsad.manifest']}\n{table}".encode() + body).hexdigest()
    text = json.dumps(header, indent=1).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def change_manifest(path, change, spoilt=None):
    """Rewrites a model file, tensors in their order: change(card) changes its manifest,
    spoilt[name](values) the values of a tensor; the digest goes with it."""
    tensors, metadata = read(path)
    card = json.loads(metadata["deepsad.manifest"])
    change(card)
    metadata["deepsad.manifest"] = json.dumps(card)
    for name, spoil in (spoilt or {}).items():
        values = tensors[name].copy()
        spoil(values)
        tensors[name] = values
    write(path, tensors, metadata, order=list)


def encode(tensors, card, member, z):
    """phi(z) of one network of the component `card`: dense, BatchNorm, leaky ReLU 0.01;
    the last layer is dense alone."""
    prefix = f"networks.{member}.encoder."
    layers = sorted(int(name[len(prefix):].split(".")[0]) for name in tensors
                    if name.startswith(prefix) and name.endswith(".weight"))
    for layer in layers:
        z = z @ tensors[f"{prefix}{layer}.weight"].astype(float).T
        if layer == layers[-1]:
            return z
        if card["batch_norm"]:
            mean = tensors[f"{prefix}{layer + 1}.running_mean"].astype(float)
            variance = tensors[f"{prefix}{layer + 1}.running_var"].astype(float)
            z = (z - mean) / np.sqrt(variance + 1e-4)
        z = np.where(z > 0, z, 0.01 * z)
    raise AssertionError("no layers")


def distances(tensors, card, z):
    """Mean over the members of squared distance / median."""
    total = np.zeros(len(z))
    for member in range(card["members"]):
        away = encode(tensors, card, member, z) - tensors[f"networks.{member}.center"]
        total += (away**2).sum(axis=1) / tensors["networks.median"][member]
    return total / card["members"]


def scores(path, x):
    """What the model scores rows x (n, features), recomputed in numpy."""
    tensors, metadata = read(path)
    manifest = json.loads(metadata["deepsad.manifest"])
    x = np.where(np.isnan(x), tensors["scaler.impute"], x).astype(float)
    z = (x - tensors["scaler.offset"]) * tensors["scaler.scale"]
    if manifest["scaler"] == "asinh":
        z = np.arcsinh(z)
    (card,) = manifest["components"]
    raw = distances(tensors, card, z)
    if manifest["score"] == "raw":
        return raw
    quantiles = card["normaliser"]
    return ((np.log(np.maximum(raw, 1e-4)) - quantiles["q50"])
            / max(quantiles["q90"] - quantiles["q50"], 0.05))
