"""The export process of a live page: ``python -m nnviz3d.apps.export.html.process``.

It reads a `PageOrder` as JSON from its standard input, and writes the page. On its standard output it tells, one line of
JSON each, its progress, ``{"done": 1, "total": 4}``, and at the end
``{"size": 640000, "words": "640 kB, 3 samples", "lacks": []}`` or ``{"refused": "A sentence."}``.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any

from nnviz3d.parent_process import end_with_parent
from nnviz3d.stopping import end_at_once


def main() -> None:
    """Write the page; the parent removes what is left of it if this process is ended."""
    end_at_once()
    end_with_parent()
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(10)  # the server that draws for the user comes first

    from nnviz3d.apps.export.html.order import PageOrder
    from nnviz3d.apps.export.html.write import packed_page, write_page
    from nnviz3d.errors import UserError

    order = PageOrder.from_json(sys.stdin.read())
    try:
        page = packed_page(order.job(), lambda done, total: _tell(done=done, total=total))
        write_page(page, order.out)
    except UserError as error:
        _tell(refused=str(error))
    else:
        _tell(size=page.size, words=page.words, lacks=page.lacks)


def _tell(**words: Any) -> None:
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    main()
