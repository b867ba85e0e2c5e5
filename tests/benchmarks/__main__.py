"""Run benchmarks, and write their results into docs/performance.md: ``python -m tests.benchmarks [NAME ...]``.

A name is that of a file, such as ``film`` for ``test_film.py``; without one all run, each in a process of its own. A
result that is not measured again stays as it was.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.results import RECORDING, as_markdown, recorded

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MARK = "<!-- python -m tests.benchmarks writes everything below this line -->"


def main(names: list[str]) -> int:
    """Run the named benchmarks; returns 1 if one fails."""
    files = {file.stem.removeprefix("test_"): file for file in sorted(HERE.glob("test_*.py"))}
    unknown = set(names) - set(files)
    if unknown:
        print(f"No benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(files)}.", file=sys.stderr)
        return 2
    failed = []
    for name in names or files:
        command = [sys.executable, "-m", "pytest", "-q", "-s", "--timeout=7200", str(files[name])]
        if subprocess.run(command, cwd=ROOT, env={**os.environ, RECORDING: "1"}, check=False).returncode not in (0, 5):
            failed.append(name)
    page = ROOT / "docs" / "performance.md"
    head = page.read_text(encoding="utf-8").partition(MARK)[0]
    page.write_text(f"{head}{MARK}\n\n{as_markdown(recorded())}", encoding="utf-8")
    print(f"Results are in {page.relative_to(ROOT)}." + (f" Failed: {', '.join(failed)}." if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
