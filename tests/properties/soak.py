"""The engine's property tests for as long as one likes: ``python -m tests.properties.soak``. Of five seeds two are
worlds of faults and crashes, two worlds of habits, one stories of a meeting that several hold."""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import sys
import time

from tests.properties.habits import run_habits
from tests.properties.shared import run_meeting
from tests.properties.world import run_world

STEPS = 50
#: Steps of one story of a meeting.
STORY = 12


def replay(seed: int) -> None:
    """One world. Raises Broken. Wants PYTHONHASHSEED=0, as `main` sets it."""
    if seed % 5 == 4:
        for part in range(STEPS // STORY):
            run_meeting(seed * 10 + part, STORY)
    else:
        (run_habits if seed % 2 else run_world)(seed, STEPS)


def one(seed: int) -> tuple[int, str]:
    """One world; "" when all its oracles held."""
    try:
        replay(seed)
    except BaseException as error:
        return seed, f"{type(error).__name__}: {error}"[:200]
    return seed, ""


def _settle() -> None:
    """What was imported stays: it is not looked through for garbage over and over again."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def main() -> int:
    """Runs worlds until the steps are made; prints the seeds that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--processes", type=int, default=None, help="how many at a time; one a processor if left out")
    parser.add_argument("--stop", action="store_true", help="stop at the first failure")
    options = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # a seed is one world only where sets have one order
        os.execve(  # noqa: S606 - itself
            sys.executable,
            [sys.executable, "-m", "tests.properties.soak", *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )
    worlds = max(1, options.steps // STEPS)
    began, failed = time.monotonic(), 0
    with multiprocessing.Pool(options.processes, initializer=_settle) as pool:
        seeds = range(options.seed, options.seed + worlds)
        for number, (seed, fault) in enumerate(pool.imap_unordered(one, seeds, chunksize=4), 1):
            if fault:
                failed += 1
                print(f"seed {seed}: {fault}", flush=True)
                if options.stop:
                    pool.terminate()
                    break
            if number % 500 == 0:
                print(f"{number * STEPS} steps, {failed} failed, {time.monotonic() - began:.0f} s", flush=True)
    print(f"seeds {options.seed} to {options.seed + worlds - 1}: {worlds * STEPS} steps, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
