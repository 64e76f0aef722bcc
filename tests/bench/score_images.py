#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Scoring speed of the paper's LeNets against PyTorch's best, one thread each, in one run:
they take turns, and the median of the ratios of neighbouring turns is what counts, as the
machine may be shared. The peer runs with the kernels that its OpenBLAS chooses and with those
that suit the CPU, as an OpenBLAS older than the CPU chooses badly. Needs Debian's
python3-torch for the peer; without it, our figures alone.

usage: /usr/bin/python3 tests/bench/score_images.py BENCH_SCORE_IMAGES [TURNS] [SECONDS]
"""
import os
import statistics
import subprocess
import sys

PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'bench_score_torch.py')
FASHION, MNIST, CIFAR = ('fashion-mnist-lenet', 1, 28), ('mnist-lenet', 1, 28), (
    'cifar-10-lenet', 3, 32)
# network, rows of a call, least ratio
CASES = ((FASHION, 1, 1.3), (FASHION, 16, 1.3), (FASHION, 128, 1.3), (MNIST, 16, None),
         (CIFAR, 16, None))
MULTIPLY_ADDS = {FASHION: 3032064, MNIST: 319872, CIFAR: 28934144}


def environment(**more):
    return dict(os.environ, OPENBLAS_NUM_THREADS='1', OMP_NUM_THREADS='1', **more)


class Peer:
    """PyTorch in a process of its own"""

    def __init__(self, **more):
        self.process = subprocess.Popen(['/usr/bin/python3', PEER], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=environment(**more))

    def rate(self, name, rows, seconds):
        print(name, rows, seconds, file=self.process.stdin, flush=True)
        rate, way = self.process.stdout.readline().split()
        return float(rate), way

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def suitable_core():
    with open('/proc/cpuinfo', encoding='utf-8') as file:
        text = file.read()
    for flag, core in ((' avx512f', 'SkylakeX'), (' avx2', 'Haswell')):
        if flag in text:
            return core
    return None


def peers():
    command = ['/usr/bin/python3', '-c', 'import torch']
    if subprocess.run(command, stderr=subprocess.DEVNULL).returncode != 0:
        return []
    core = suitable_core()
    return [Peer()] + ([Peer(OPENBLAS_CORETYPE=core)] if core else [])


def our_rate(program, net, rows, seconds):
    words = subprocess.run([program, *map(str, net), str(rows), str(seconds)], check=True,
                           env=environment(), text=True, stdout=subprocess.PIPE)
    return float(words.stdout.split()[1])


def compare(program, others, case, turns, seconds):
    net, rows, limit = case
    ours, theirs = [], []
    for _ in range(turns):
        ours.append(our_rate(program, net, rows, seconds))
        theirs.append(max((peer.rate(net[0], rows, seconds) for peer in others),
                          default=(0, 'none')))
    rate = statistics.median(ours)
    line = f'{net[0]:20} {rows:4} rows: {rate:9,.0f} rows/s'
    line += f' ({2e-9 * rate * MULTIPLY_ADDS[net]:5.1f} GFLOP/s)'
    if not others:
        print(line, flush=True)
        return True
    ratio = statistics.median(a / b[0] for a, b in zip(ours, theirs))
    good = limit is None or ratio >= limit
    line += f', PyTorch {statistics.median(b[0] for b in theirs):8,.0f} ({theirs[-1][1]})'
    line += f': {ratio:.2f} x' + (f' (limit {limit})' if limit else '')
    print(line + ('' if good else ' MISSED'), flush=True)
    return good


def main():
    program = sys.argv[1]
    turns = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 0.2
    others = peers()
    if not others:
        print('no python3-torch: nothing to compare with')
    good = [compare(program, others, case, turns, seconds) for case in CASES]
    for peer in others:
        peer.end()
    return 0 if all(good) else 1


if __name__ == '__main__':
    sys.exit(main())
