"""``python -m nnviz3d``."""

from __future__ import annotations

from nnviz3d.cli import main

main()
