#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Training speed of libdeepsad against PyTorch's, one thread each, in one run: the two take
turns, and the median of the ratios of neighbouring turns is what counts, as the machine may
be shared. Needs Debian's python3-torch for the peer; without it, our figures alone.

usage: /usr/bin/python3 tests/bench/train.py BENCH_TRAIN [TURNS] [SECONDS]
BENCH_TRAIN: the program built from bench_train.c
"""
import os
import statistics
import subprocess
import sys

PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'bench_train_torch.py')
PAIRS = (('shuttle', 'sad'), ('shuttle', 'ae'), ('cardio', 'sad'), ('cardio', 'ae'),
         ('wide', 'sad'))


def figures(*command):
    environment = dict(os.environ, OPENBLAS_NUM_THREADS='1', OMP_NUM_THREADS='1')
    words = subprocess.run(command, env=environment, check=True, text=True,
                           stdout=subprocess.PIPE).stdout.split()
    return dict(zip(words[::2], words[1::2]))


def rate(*command):
    return float(figures(*command)['samples_per_second'])


def has_torch():
    command = ['/usr/bin/python3', '-c', 'import torch']
    return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0


def compare(program, net, phase, turns, seconds):
    ours, theirs = [], []
    for _ in range(turns):
        ours.append(rate(program, net, phase, seconds))
        theirs.append(rate('/usr/bin/python3', PEER, net, phase, seconds))
    ratio = statistics.median(a / b for a, b in zip(ours, theirs))
    print(f'{net:8} {phase:4} {statistics.median(ours) / 1e6:8.2f} M/s '
          f'{statistics.median(theirs) / 1e6:8.3f} M/s   x {ratio:.1f}', flush=True)


def main():
    program = os.path.abspath(sys.argv[1])
    turns = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    seconds = sys.argv[3] if len(sys.argv) > 3 else '1'
    print('training, one thread, batch 128, medians: libdeepsad, PyTorch, ratio')
    for net, phase in PAIRS:
        if has_torch():
            compare(program, net, phase, turns, seconds)
        else:
            print(f'{net:8} {phase:4} {rate(program, net, phase, seconds) / 1e6:8.2f} M/s '
                  '(no python3-torch to compare with)', flush=True)
    member = statistics.median(
        float(figures(program, 'default', 'sad', seconds)['member_ms'])
        for _ in range(turns))
    print(f'default recipe 9-128-64, one member, 300 steps of 160 rows: {member:.1f} ms')


if __name__ == '__main__':
    main()
