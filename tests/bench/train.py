#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Training speed of libdeepsad against PyTorch's, one thread each, in one run: the two take
turns, and the median of the ratios of neighbouring turns is what counts, as the machine may
be shared. OpenBLAS, on which PyTorch's dense layers run, takes its narrowest kernels on CPUs
that came after it: so PyTorch runs as it is and with the kernels that fit the CPU, and its
better figure counts. Then our own speed with two threads, peak memory, and GFLOP/s by layer.
Fails when a limit is missed. Needs Debian's python3-torch for the peer; without it, our
figures alone.

usage: /usr/bin/python3 tests/bench/train.py BUILD/bench [TURNS] [SECONDS]
"""
import os
import statistics
import subprocess
import sys

PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'bench_train_torch.py')
# net, phase, at least so many times PyTorch's samples per second
PAIRS = (('shuttle', 'sad', 8), ('shuttle', 'ae', 8), ('cardio', 'sad', 0),
         ('cardio', 'ae', 0), ('wide', 'sad', 0), ('fmnist', 'sad', 1.3),
         ('fmnist', 'ae', 1.8), ('mnist', 'sad', 1.5), ('mnist', 'ae', 1.5),
         ('cifar', 'sad', 1.0), ('cifar', 'ae', 1.3))
LENETS = ('fmnist', 'mnist', 'cifar')
TWO_THREADS = 1.8   # times one thread
MEMORY = 120        # MiB, training the Fashion-MNIST LeNet

missed = []


def verdict(what, value, limit, most=False):
    """' (limit ...)', and a missed one is remembered."""
    if not limit:
        return ''
    if (value > limit) if most else (value < limit):
        missed.append(what)
        return f'   MISSED: at {"most" if most else "least"} {limit}'
    return f'   ({"at most" if most else "at least"} {limit})'


def best_core():
    """OpenBLAS's name for the widest kernels that this CPU can run."""
    with open('/proc/cpuinfo', encoding='ascii', errors='replace') as file:
        flags = set(file.read().split())
    if {'avx512f', 'avx512bw', 'avx512dq', 'avx512vl'} <= flags:
        return 'SkylakeX'
    return 'Haswell' if {'avx2', 'fma'} <= flags else None


def run(*command, core=None):
    environment = dict(os.environ, OPENBLAS_NUM_THREADS='1', OMP_NUM_THREADS='1')
    if core:
        environment['OPENBLAS_CORETYPE'] = core
    return subprocess.run(command, env=environment, check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def figures(*command, core=None):
    words = run(*command, core=core).split()
    return {key: float(value) for key, value in zip(words[4::2], words[5::2])}


def has_torch():
    command = ['/usr/bin/python3', '-c', 'import torch']
    return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0


def ours(program, net, phase, seconds, threads='1'):
    return figures(program, net, phase, seconds, threads)


def theirs(net, phase, seconds):
    """The better of PyTorch with either BLAS, by samples per second."""
    cores = {None, best_core()}
    return max((figures('/usr/bin/python3', PEER, net, phase, seconds, core=core)
                for core in cores), key=lambda figure: figure['samples_per_second'])


def median(figures_, key='samples_per_second'):
    return statistics.median(figure[key] for figure in figures_)


def compare(program, net, phase, limit, turns, seconds):
    own, peer = [], []
    for _ in range(turns):
        own.append(ours(program, net, phase, seconds))
        peer.append(theirs(net, phase, seconds))
    ratio = statistics.median(a['samples_per_second'] / b['samples_per_second']
                              for a, b in zip(own, peer))
    scale = median(own) / median(peer)
    print(f'{net:8} {phase:4} {median(own):10.0f} /s {median(own, "gflops"):6.1f} GFLOP/s '
          f'{median(own, "mib"):5.0f} MiB {median(peer):9.0f} /s '
          f'{median(own, "gflops") / scale:6.1f} GFLOP/s {median(peer, "mib"):5.0f} MiB   '
          f'x {ratio:.2f}{verdict(f"{net} {phase}", ratio, limit)}', flush=True)


def alone(program, net, phase, seconds):
    own = ours(program, net, phase, seconds)
    print(f'{net:8} {phase:4} {own["samples_per_second"]:10.0f} /s '
          f'{own["gflops"]:6.1f} GFLOP/s (no python3-torch to compare with)', flush=True)


def two_threads(program, net, phase, turns, seconds):
    ratios = []
    for _ in range(turns):
        one = ours(program, net, phase, seconds)['samples_per_second']
        two = ours(program, net, phase, seconds, '2')['samples_per_second']
        ratios.append(two / one)
    ratio = statistics.median(ratios)
    print(f'{net:8} {phase:4} x {ratio:.2f}'
          f'{verdict(f"{net} {phase} with two threads", ratio, TWO_THREADS)}', flush=True)


def main():
    bench = os.path.abspath(sys.argv[1])
    program = os.path.join(bench, 'bench_train')
    turns = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    seconds = sys.argv[3] if len(sys.argv) > 3 else '1'
    print('training, one thread, batch 128, medians: libdeepsad, PyTorch, ratio')
    torch = has_torch()
    for net, phase, limit in PAIRS:
        if torch:
            compare(program, net, phase, limit, turns, seconds)
        else:
            alone(program, net, phase, seconds)
    member = statistics.median(ours(program, 'default', 'sad', seconds)['member_ms']
                               for _ in range(turns))
    print(f'default recipe 9-128-64, one member, 300 steps of 160 rows: {member:.1f} ms')
    for phase in ('sad', 'ae'):
        mib = ours(program, 'fmnist', phase, seconds)['mib']
        print(f'peak memory, Fashion-MNIST LeNet, 6316 rows, {phase}: {mib:.0f} MiB'
              f'{verdict(f"memory of {phase}", mib, MEMORY, most=True)}')
    if os.cpu_count() > 1:
        print('two threads, by the clock, against one by its CPU time')
        for net in LENETS:
            for phase in ('sad', 'ae'):
                two_threads(program, net, phase, turns, seconds)
    print(run(os.path.join(bench, 'bench_layers'), core=best_core()), end='')
    if missed:
        sys.exit('missed: ' + ', '.join(missed))


if __name__ == '__main__':
    main()
