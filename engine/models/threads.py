"""How torch's threads wait for one another on a CPU that other work may share.

libgomp's threads spin while they wait. With one other busy process on a machine of two cores,
decoding steps of 60 to 80 ms then took 130 to 2,400 ms; with sleeping waits they took 60 to 140,
at a price of 10 to 30 % of the speed on an idle machine.
"""

from __future__ import annotations

import os

__all__ = ["one_thread_if_forked", "wait_asleep"]

_home = os.getpid()


def wait_asleep() -> None:
    """Lets OpenMP threads sleep while they wait, unless the environment says otherwise.

    Of use only before the process first imports torch: libgomp reads its settings when loaded.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["OMP_WAIT_POLICY"] = "passive"


def one_thread_if_forked() -> None:
    """Keeps torch to one thread in a process forked from the one that imported this.

    libgomp's threads do not survive a fork: once the parent has used them, the child's first
    parallel region waits for them for ever. distilabel's own runner forks a process a step.
    """
    if os.getpid() != _home:
        import torch

        torch.set_num_threads(1)
