"""Entry point of ``python -m nnviz3d`` and of ``nnviz3d``: installs signal handlers before any large import."""

from __future__ import annotations

from nnviz3d.stopping import end_at_once


def main() -> None:
    """Run the command line."""
    end_at_once()
    from nnviz3d.cli import main as run

    run()


if __name__ == "__main__":
    main()
