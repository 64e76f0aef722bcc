#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whether exported models score in onnxruntime as in deepsad: the default model, the cold
start and the reference on rows of a CSV (or made-up ones), a LeNet on Fashion-MNIST where
its package is there. Nonzero exit where a score is further off than 1e-5, absolute or
relative to a score above 1.

usage: check.py BUILD RUNTIME-FOLDER      DATA=folder with shuttle.csv (else made-up rows)
"""
import csv
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

BUILD, RUNTIME = pathlib.Path(sys.argv[1]), sys.argv[2]
FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")
HERE = pathlib.Path(__file__).parent


def run(*words):
    return subprocess.run([str(w) for w in words], check=True, capture_output=True,
                          text=True).stdout


def rows_of_csv(path):
    with open(path, encoding="ascii") as file:
        table = csv.reader(file)
        names = next(table)
        keep = [j for j, name in enumerate(names) if name != "label"]
        return np.array([[float(row[j] or "nan") for j in keep] for row in table], np.float32)


def tables(folder):
    """(training CSV, rows to score)"""
    given = pathlib.Path(os.environ.get("DATA") or "/none") / "shuttle.csv"
    if not given.exists():
        rng = np.random.default_rng(1)
        x = rng.normal(size=(6000, 9)) @ rng.normal(size=(9, 9)) * 20
        x[::50] += 200
        given = folder / "rows.csv"
        with open(given, "w", encoding="ascii") as file:
            file.write(",".join(f"x{j}" for j in range(9)) + ",label\n")
            for i, row in enumerate(x):
                label = "normal" if i % 50 else "anomalous"
                file.write(",".join(f"{v:.6g}" for v in row) + f",{label}\n")
    run(BUILD / "deepsad", "split", given, "--out", folder / "split", "--pollution", "natural")
    return folder / "split" / "train.csv", rows_of_csv(folder / "split" / "test.csv")


def compare(name, model, rows, folder):
    np.save(folder / "rows.npy", rows)
    flat = np.ascontiguousarray(rows.reshape(len(rows), -1), "<f4")
    (folder / "rows.f32").write_bytes(flat.tobytes())
    run(BUILD / "deepsad", "score", model, folder / "rows.npy", "--output", folder / "own.csv")
    with open(folder / "own.csv", encoding="ascii") as file:
        own = list(csv.DictReader(file))
    score = np.array([r["score"] for r in own], np.float32)
    p_value = np.array([r["p_value"] for r in own], np.float32)
    run(BUILD / "deepsad", "export", model, "--onnx", folder / "m.onnx")
    took = float(run("node", HERE / "score.mjs", RUNTIME, folder / "m.onnx",
                     folder / "rows.f32", flat.shape[1], folder / "out.f32"))
    got, got_p = np.fromfile(folder / "out.f32", "<f4").reshape(2, -1)
    off = np.max(np.abs(got - score) / np.maximum(1, np.abs(score)))
    moved = np.mean(np.abs(got_p - p_value) > 1e-6)
    size = (folder / "m.onnx").stat().st_size
    print(f"{name:22} {len(rows):6} rows  scores off by {off:.1e}  p-values moved by a tie "
          f"{100 * moved:.3f} %  {size / 1024:8.0f} KiB  {took:9.0f} ns a row", flush=True)
    return off <= 1e-5


def main():
    good = True
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        train, rows = tables(folder)
        rows = np.vstack([rows, np.full((1, rows.shape[1]), np.nan, np.float32),
                          np.full((1, rows.shape[1]), 1e30, np.float32)])
        for model, words in (("default", ()), ("reference", ("--recipe", "reference"))):
            run(BUILD / "deepsad", "train", train, "--out", folder / model, *words)
            good &= compare(model, folder / model, rows, folder)
        lines = pathlib.Path(train).read_text(encoding="ascii").splitlines()
        bare = [lines[0]] + [line.rsplit(",", 1)[0] + "," for line in lines[1:]]
        (folder / "bare.csv").write_text("\n".join(bare) + "\n", encoding="ascii")
        run(BUILD / "deepsad", "train", folder / "bare.csv", "--out", folder / "cold")
        good &= compare("cold start", folder / "cold", rows, folder)
        if FASHION.exists():
            run(BUILD / "deepsad", "train", FASHION / "train-images-idx3-ubyte.gz", "--labels",
                FASHION / "train-labels-idx1-ubyte.gz", "--normal-class", 0,
                "--labeled-anomalies", 0.05, "--set", "steps=300", "--out", folder / "shirts")
            images = subprocess.run(["zcat", FASHION / "t10k-images-idx3-ubyte.gz"], check=True,
                                    capture_output=True).stdout[16:]
            pixels = np.frombuffer(images, np.uint8).reshape(-1, 28, 28)[:2000]
            good &= compare("Fashion-MNIST LeNet", folder / "shirts",
                            pixels.astype(np.float32) / 255, folder)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
