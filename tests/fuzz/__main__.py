"""Command line of the fuzzer: ``python -m tests.fuzz --inputs 3000 --seed 5 --kind models``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.progress import track

from tests.fuzz.judge import Host
from tests.fuzz.trials import KINDS, Material, trial


def faults(kinds: dict[str, range], seed: int, material: Material, scratch: Path) -> Iterator[tuple[str, str]]:
    """Run trials by kind and number; yields name and fault of each trial that fails."""
    with Host(scratch) as host:
        for kind, numbers in kinds.items():
            for number in numbers:
                one = trial(kind, number, seed, material, scratch / f"{kind}-{number}")
                fault = host.judge(one)
                if fault is not None:
                    yield f"{one.name} {' '.join(one.arguments)[:200]!r}", fault


def main() -> None:
    """Print each fault with the name that reproduces it; exit code 1 if there are any."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1000, help="number of trials of each kind")
    parser.add_argument("--first", type=int, default=0, help="number of the first trial of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=list(KINDS), action="append", help="may be repeated; by default all")
    asked = parser.parse_args()
    count = 0
    with tempfile.TemporaryDirectory(prefix="nnviz3d-fuzz-") as folder:
        material = Material.made(Path(folder) / "material")
        for kind in asked.kind or KINDS:
            numbers = range(asked.first, asked.first + asked.inputs)
            runs = ({kind: range(n, n + 50)} for n in numbers[::50])
            for run in track(list(runs), description=kind):
                for name, fault in faults(run, asked.seed, material, Path(folder) / f"{kind}-{run[kind].start}"):
                    count += 1
                    print(f"{name}\n    {fault}", flush=True)
    print(f"{count} faults")
    sys.exit(1 if count else 0)


if __name__ == "__main__":
    main()
