# SPDX-License-Identifier: Apache-2.0
"""Simulated power cuts. The store lies on an ext4 image that is mounted through a loop
device; the image lies on an XFS that can clone a file at one point in time (reflink). While
labels are posted, the image is cloned: that is what the disk holds if the power fails now,
for what the kernel has not written to it is not in it. The clone is mounted, which replays
ext4's journal, and every label acknowledged before the cloning began must be there, and the
database whole. With synchronous=OFF the same must fail, or the test shows nothing.

What it does not show: a disk that loses or reorders what it was told to flush.

    power_cut.py --writer build/release/faults/label_writer [--cuts 200] [--control 20]
"""
import argparse
import contextlib
import fcntl
import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

FICLONE = 0x40049409
IMAGE_BYTES = 256 << 20
HOST_BYTES = 2 << 30
CUTS_A_ROUND = 20  # then a fresh store, so that checking stays cheap
THREADS = 4


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"power_cut: {' '.join(map(str, command))}: {done.stderr.strip()}")


@contextlib.contextmanager
def mounted(image, place):
    place.mkdir(exist_ok=True)
    run("mount", "-o", "loop", image, place)
    try:
        yield place
    finally:
        run("umount", place)


def make_image(path, size, *mkfs):
    with open(path, "wb") as file:
        file.truncate(size)
    run(*mkfs, path)


class Writer:
    """The program that posts labels, and what it has acknowledged so far."""

    def __init__(self, program, directory, synchronous):
        self.acknowledged = set()
        self.process = subprocess.Popen(
            ["timeout", "-s", "KILL", "900", program, directory, str(THREADS), synchronous],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.acknowledged.add(line.rstrip("\n"))

    def end(self):
        self.process.stdin.close()
        self.reader.join()
        if self.process.wait() != 0:
            sys.exit("power_cut: the writer failed")


def clone(source, target):
    with open(source, "rb") as old, open(target, "wb") as new:
        fcntl.ioctl(new, FICLONE, old.fileno())


def entries(path):
    """What the journal holds, as the writer tells it; faults of the database."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        found = {("-" if kind else "") + label
                 for kind, label in database.execute("SELECT kind, label_id FROM journal")}
        faults = [row[0] for row in database.execute("PRAGMA integrity_check")
                  if row[0] != "ok"]
        faults += [f"foreign key: {row}"
                   for row in database.execute("PRAGMA foreign_key_check")]
        in_force, expected, samples, kept = database.execute(
            "SELECT (SELECT count(*) FROM in_force),"
            " (SELECT count(*) FROM journal WHERE kind = 0)"
            " - (SELECT count(*) FROM journal WHERE kind = 1),"
            " (SELECT total(samples) FROM model), (SELECT count(*) FROM sample)").fetchone()
    if in_force != expected or samples != kept:
        faults.append("derived tables disagree with the journal")
    return found, faults


def cut(image, copy, place, writer):
    """How many acknowledged entries the disk does not hold, and other faults."""
    acknowledged = set(writer.acknowledged)  # before the cloning begins
    begin = time.monotonic()
    clone(image, copy)
    with mounted(copy, place):
        try:
            found, faults = entries(place / "deepsad.db")
        except sqlite3.Error as error:
            found, faults = set(), [str(error)]
    copy.unlink()
    return len(acknowledged), len(acknowledged - found), faults, time.monotonic() - begin


def round_of_cuts(arguments, host, synchronous, count):
    image, copy = host / "store.img", host / "cut.img"
    make_image(image, IMAGE_BYTES, "mkfs.ext4", "-q", "-F")
    cuts = []
    with mounted(image, host / "live") as live:
        writer = Writer(arguments.writer, live, synchronous)
        try:
            while len(writer.acknowledged) < 100:
                if writer.process.poll() is not None:
                    sys.exit("power_cut: the writer ended")
                time.sleep(0.01)
            for _ in range(count):
                time.sleep(random.uniform(0.0, 0.15))
                cuts.append(cut(image, copy, host / "cut", writer))
        finally:
            writer.end()
    image.unlink()
    return cuts


def series(arguments, host, synchronous, count):
    cuts = []
    begin = time.monotonic()
    while len(cuts) < count:
        cuts += round_of_cuts(arguments, host, synchronous,
                              min(CUTS_A_ROUND, count - len(cuts)))
    losing = [lost for _, lost, _, _ in cuts if lost]
    faulty = [faults for _, _, faults, _ in cuts if faults]
    milliseconds = sorted(1e3 * seconds for *_, seconds in cuts)
    print(f"synchronous={synchronous}: {len(cuts)} cuts in {time.monotonic() - begin:.0f} s"
          f" (median {milliseconds[len(cuts) // 2]:.0f} ms each);"
          f" acknowledged entries checked: {sum(seen for seen, *_ in cuts)};"
          f" cuts that lost some: {len(losing)} (at most {max(losing, default=0)} entries);"
          f" databases not whole: {len(faulty)}", flush=True)
    for faults in faulty[:3]:
        print("   ", "; ".join(faults[:3]))
    return len(losing), len(faulty)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--writer", type=pathlib.Path, required=True)
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--control", type=int, default=20, help="cuts with NORMAL and OFF")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", help="folder for the images, on a real disk")
    arguments = parser.parse_args()
    arguments.writer = arguments.writer.resolve()
    random.seed(arguments.seed)
    missing = [tool for tool in ("mkfs.ext4", "mkfs.xfs", "mount") if not shutil.which(tool)]
    if os.geteuid() != 0 or missing:
        sys.exit(f"power_cut: needs root and mkfs.ext4, mkfs.xfs, mount (missing: {missing})")
    with tempfile.TemporaryDirectory(dir=arguments.work) as work:
        work = pathlib.Path(work)
        make_image(work / "host.img", HOST_BYTES, "mkfs.xfs", "-q", "-m", "reflink=1")
        with mounted(work / "host.img", work / "host") as host:
            lost, faulty = series(arguments, host, "FULL", arguments.cuts)
            series(arguments, host, "NORMAL", arguments.control)  # for the reader: why FULL
            control, _ = series(arguments, host, "OFF", arguments.control)
    if lost or faulty:
        sys.exit("power_cut: FAILED, acknowledged labels were lost or a database is damaged")
    if not control:
        sys.exit("power_cut: FAILED, the control with synchronous=OFF lost nothing")
    print("power_cut: passed")


main()
