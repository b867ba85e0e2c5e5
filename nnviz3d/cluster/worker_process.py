"""A worker of a cluster on this machine: ``python -m nnviz3d.cluster.worker_process``.

It reads a line of JSON from its standard input: the scheduler's address, and the keys that encrypt the connections.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
from typing import Any

from distributed import Worker
from distributed.security import Security

from nnviz3d.parent_process import end_with_parent
from nnviz3d.stopping import end_at_once


async def _work(order: dict[str, Any]) -> None:
    worker = Worker(
        order["address"],
        nthreads=1,
        name=order["name"],
        security=Security(**order["security"]),
        local_directory=tempfile.gettempdir(),  # one folder for all workers, which the program removes
        memory_limit=0,  # the models and pictures are in processes of their own
        dashboard=False,
        host="127.0.0.1",
    )
    async with worker:
        await worker.finished()


def main() -> None:
    """Work until the scheduler ends, or the process that started this one."""
    end_at_once()
    end_with_parent()
    logging.getLogger("distributed").setLevel(logging.WARNING)  # the program quotes it if all workers end
    asyncio.run(_work(json.loads(sys.stdin.readline())))


if __name__ == "__main__":
    main()
