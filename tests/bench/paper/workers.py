# SPDX-License-Identifier: Apache-2.0
"""Tasks side by side, each in a process of its own that is forked from this one, so that data
read before is shared. A process leads its own session: Ctrl-C reaches this one alone, and
what it started, `deepsad` too, ends with the process's group."""
import collections
import multiprocessing
import multiprocessing.connection
import os
import signal

fork = multiprocessing.get_context("fork")


def work(sender, do, task):
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        for result in do(task):
            sender.send((result, None))
    except Exception as error:  # whatever it is, the other tasks go on
        sender.send((None, f"{type(error).__name__}: {error}"))


def start(do, task):
    receiver, sender = fork.Pipe(duplex=False)
    process = fork.Process(target=work, args=(sender, do, task))
    process.start()
    sender.close()
    return receiver, process


def end(process):
    """Before its setsid() there is no such group yet, and the process alone is ended."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        os.killpg(process.pid, signal.SIGCONT)  # a stopped process would never end
    except ProcessLookupError:
        process.terminate()
    process.join()


def run(tasks, do, count, finish):
    """do(task) yields results in a worker; finish(task, result, error) has them here: result
    or error is None; at a task's end both are."""
    waiting, running = collections.deque(tasks), {}
    try:
        while waiting or running:
            while waiting and len(running) < count:
                task = waiting.popleft()
                receiver, process = start(do, task)
                running[receiver] = task, process
            for receiver in multiprocessing.connection.wait(list(running)):
                task, process = running[receiver]
                try:
                    finish(task, *receiver.recv())
                except EOFError:
                    process.join()
                    del running[receiver]
                    finish(task, None, None if process.exitcode == 0 else
                           f"the worker ended with status {process.exitcode}")
    finally:
        for _, process in running.values():
            end(process)
