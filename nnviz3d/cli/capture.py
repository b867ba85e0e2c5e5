"""The command `capture`, in a module of its own, because its options take time to import."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from nnviz3d.capability_options import NO_CAPABILITY_OPTIONS, CapabilityOptions
from nnviz3d.cli.commands import CAPTURE_HELP, count
from nnviz3d.cli.targets import capture_with_workers, capturing
from nnviz3d.options import ALL_STORED, NO_CLUSTER, NO_MODEL, Cluster, Model, Stored


def capture(
    model_file: Annotated[str, Parameter(name="MODEL")],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    model: Model = NO_MODEL,
    capabilities: CapabilityOptions = NO_CAPABILITY_OPTIONS,
    stored: Stored = ALL_STORED,
    cluster: Cluster = NO_CLUSTER,
) -> None:
    """Run the command; its help is `CAPTURE_HELP`."""
    from nnviz3d.data.storage.address import address_of
    from nnviz3d.data.storage.capture_writer import check_destination

    began = time.perf_counter()
    where = cluster.options()
    if address_of(output) is None:
        check_destination(output)
    elif where is None:
        where = Cluster(workers=1).options()  # a worker copies what the model computes to the address
    request = model.options().request(model_file, output, capabilities.wanted()).model_copy(update=stored.fields())
    if where is not None:
        done = capture_with_workers(request, where)
    else:
        with capturing(model_file) as run:
            done = run(request)
    seconds = time.perf_counter() - began
    print(
        f"{address_of(output) or output}: {done.nodes} nodes, {count(done.samples, 'sample')}, in {seconds:.1f} s",
        file=sys.stderr,
    )


capture.__doc__ = CAPTURE_HELP
