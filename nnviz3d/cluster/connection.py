"""A connection to a Dask cluster: one that runs already, or one of processes on this machine."""

from __future__ import annotations

import json
import logging
import os
import pkgutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from nnviz3d.cluster import tasks
from nnviz3d.data.files.temporary_folder import temporary_folder
from nnviz3d.errors import UserError
from nnviz3d.parent_process import PARENT, end_process, run_module
from nnviz3d.stopping import DelayedSignals
from nnviz3d.version import __version__

NO_DASK = (
    "Work on a cluster needs Dask, which is not installed; install it with: pip install 'nnviz3d[cluster]'. Without "
    "--cluster and --workers everything runs in one process."
)
_PATIENCE = 30.0
"""Seconds that a scheduler, or the first worker, has to answer."""
_MOST_WORKERS = 256
"""Most processes of one machine."""
_TAIL = 2000
"""Most characters of what a worker printed that an error quotes."""
_GRACE = 5.0
"""Seconds that a worker of this machine has to end."""


@dataclass(frozen=True)
class ClusterOptions:
    """The cluster that a command uses: one that runs, or processes on this machine.

    Attributes
    ----------
    address
        Address of a Dask scheduler, ``tcp://HOST:PORT`` or ``tls://HOST:PORT``.
    workers
        Number of processes to start on this machine.
    """

    address: str | None = None
    workers: int | None = None

    def check(self) -> None:
        """Refuse options that contradict each other.

        Raises
        ------
        UserError
            If both are given, or one has a wrong value.
        """
        if self.address is not None and self.workers is not None:
            raise UserError("--cluster and --workers exclude each other: a cluster has workers of its own.")
        if self.workers is not None and not 1 <= self.workers <= _MOST_WORKERS:
            raise UserError(f"--workers is a number of processes, 1 to {_MOST_WORKERS}; got {self.workers}.")
        if self.address is not None and not self.address.startswith(("tcp://", "tls://", "ws://", "wss://")):
            raise UserError(
                f"--cluster is the address of a Dask scheduler, such as tcp://10.0.0.5:8786; got {self.address!r}."
            )


@dataclass(frozen=True)
class Need:
    """A package that the workers need.

    Attributes
    ----------
    package
        Name by which it is imported.
    purpose
        The work that needs it, as the subject of a sentence.
    """

    package: str
    purpose: str


MODELS = Need("tensorflow", "Capturing a model")
DRAWING = Need("vtkmodules", "Drawing frames")


class Connected:
    """A cluster that this program is connected to.

    Parameters
    ----------
    client
        Dask's client.
    where
        The scheduler's address, or words for this machine.
    processes
        The workers that this program started.
    printed
        What these workers print.

    Attributes
    ----------
    client, where
        As the parameters.
    """

    def __init__(
        self,
        client: Any,
        where: str,
        processes: Sequence[subprocess.Popen[str]] = (),
        printed: IO[str] | None = None,
    ) -> None:
        self.client = client
        self.where = where
        self._processes = processes
        self._printed = printed

    @property
    def last_output(self) -> str:
        """Exit codes and last output of the workers that this program started, as sentences; empty without such workers."""
        if self._printed is None:
            return ""
        self._printed.seek(0)
        codes = ", ".join(str(process.poll()) for process in self._processes)
        return f" Their exit codes are {codes}. {' '.join(self._printed.read()[-_TAIL:].split())}".rstrip()

    @property
    def has_ended(self) -> bool:
        """Whether this program started the workers as processes, and all of them have ended."""
        return bool(self._processes) and all(process.poll() is not None for process in self._processes)

    @property
    def threads(self) -> int:
        """Number of orders that can be carried out at the same time; 0 if all workers have ended."""
        if self.has_ended:
            return 0
        return sum(int(worker["nthreads"]) for worker in _workers(self.client).values())

    def on_all(self, function: Any, *arguments: str, patience: float = _PATIENCE) -> dict[str, Any]:
        """Call a function on all workers at once, beside their orders; an error takes the place of a result."""
        found: dict[str, Any] = self.client.sync(
            self.client._run, function, *arguments, on_error="return", callback_timeout=patience
        )
        return found


@contextmanager
def connected(options: ClusterOptions, need: Need) -> Iterator[Connected]:
    """Connect to a cluster, and check that its workers can do the work.

    Raises
    ------
    UserError
        If Dask is not installed, the scheduler does not answer, or a worker lacks nnviz3d or what is needed.
    """
    options.check()
    try:
        import distributed
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in {"distributed", "dask"}:
            raise
        raise UserError(NO_DASK) from None
    # Dask's own messages about lost connections and versions would be mixed with the progress.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="distributed")
    with ExitStack() as stack:
        if options.workers is not None:
            cluster = stack.enter_context(_local(options.workers))
        else:
            address = str(options.address)
            try:
                client = distributed.Client(address, timeout=_PATIENCE, set_as_default=False)
            except (OSError, TimeoutError, ValueError, TypeError) as error:
                raise UserError(
                    f"No Dask scheduler answers at {address} ({_short(error)}); start one with: dask scheduler, and "
                    "workers with: dask worker ADDRESS."
                ) from None
            stack.callback(_closed, client)
            cluster = Connected(client, address)
            _wait_for_workers(cluster)
        check_workers(cluster, need)
        yield cluster


@contextmanager
def _local(count: int) -> Iterator[Connected]:
    """Start a scheduler in this process, and workers in processes of their own, with encrypted connections."""
    import dask.config
    from distributed import Client, LocalCluster
    from distributed.security import Security

    # Other users of this machine can reach its loopback, and a scheduler runs what it is sent.
    security = Security.temporary()
    keys = {name: getattr(security, name) for name in _KEYS}
    printed = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - it lives as long as the processes
    processes: list[subprocess.Popen[str]] = []
    with ExitStack() as stack:
        stack.callback(printed.close)
        folder = stack.enter_context(temporary_folder())
        stack.enter_context(dask.config.set({"temporary-directory": str(folder)}))  # the scheduler makes a folder there
        scheduler = LocalCluster(
            n_workers=0, processes=True, security=security, host="127.0.0.1", dashboard_address=None, silence_logs=False
        )
        stack.callback(_closed, scheduler)
        client = Client(scheduler, security=security, set_as_default=False)
        stack.callback(_closed, client)
        stack.callback(_end, processes)
        for number in range(count):
            order = {"address": scheduler.scheduler_address, "name": str(number), "security": keys}
            _start(processes, order, printed, folder)
        cluster = Connected(client, "this machine", processes, printed)
        began = time.monotonic()
        while len(_workers(client)) < count:
            if any(process.poll() is not None for process in processes) or time.monotonic() - began > 2 * _PATIENCE:
                raise RuntimeError(f"A worker did not start.{cluster.last_output}")
            time.sleep(0.05)
        yield cluster


_KEYS = ("require_encryption", "tls_ca_file", "tls_worker_cert", "tls_worker_key")
"""Settings of `Security` that a worker needs."""


def _start(processes: list[subprocess.Popen[str]], order: dict[str, Any], printed: IO[str], folder: Path) -> None:
    """Start a worker and add it to the list. It and its own processes make their temporary files in a folder."""
    with DelayedSignals():  # otherwise a signal could leave a process that is not on the list
        process = subprocess.Popen(
            run_module("nnviz3d.cluster.worker_process"),
            stdin=subprocess.PIPE,
            stdout=printed,
            stderr=printed,
            text=True,
            env={**os.environ, PARENT: str(os.getpid()), "TMPDIR": str(folder)},
            process_group=0,  # Ctrl-C reaches only this process, which then ends the workers in order
        )
        processes.append(process)
    with suppress(BrokenPipeError):
        print(json.dumps(order), file=process.stdin, flush=True)


def _end(processes: Sequence[subprocess.Popen[str]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        end_process(process, _GRACE)
        if process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.close()


def _workers(client: Any) -> dict[str, dict[str, Any]]:
    """Ask the scheduler for its workers, by address; empty if the scheduler does not answer.

    `Client.scheduler_info` returns what the client knows, which it replaces every two seconds by an answer without workers,
    even between the question and the answer.
    """
    if client.scheduler is None:  # closed
        return {}
    try:
        workers: dict[str, dict[str, Any]] = client.sync(client.scheduler.identity, n_workers=-1)["workers"]
    except OSError:
        return {}
    return workers


def _closed(opened: Any) -> None:
    """Close a client or a scheduler; a lost connection is closed already."""
    with suppress(OSError, TimeoutError):
        opened.close(timeout=_GRACE)


def _wait_for_workers(cluster: Connected) -> None:
    began = time.monotonic()
    while not cluster.threads:
        if time.monotonic() - began > _PATIENCE:
            raise UserError(
                f"The cluster at {cluster.where} has no workers; start some with: dask worker {cluster.where}."
            )
        time.sleep(0.1)


def check_workers(cluster: Connected, need: Need) -> None:
    """Refuse a cluster with a worker that cannot do the work.

    Raises
    ------
    UserError
        If a worker lacks nnviz3d, has another version of it, or lacks a package that is needed.
    """
    # A function of Python's own is known to every worker.
    for worker, version in cluster.on_all(pkgutil.resolve_name, "nnviz3d.version:__version__").items():
        if isinstance(version, ModuleNotFoundError):
            raise UserError(
                f"The worker {worker} has no nnviz3d; install nnviz3d {__version__} there: pip install nnviz3d[cluster]."
            )
        if isinstance(version, Exception):
            raise UserError(f"The worker {worker} does not answer ({_short(version)}); restart it.")
        if version != __version__:
            raise UserError(
                f"The worker {worker} has nnviz3d {version}, and this program {__version__}; install one version "
                "everywhere."
            )
    for worker, has in cluster.on_all(tasks.has_package, need.package).items():
        if has is not True:
            names = {"vtkmodules": "vtk"}
            why = f" ({_short(has)})" if isinstance(has, Exception) else ""
            package = names.get(need.package, need.package)
            raise UserError(
                f"{need.purpose} needs {package}, which the worker {worker} does not have{why}; install it there with: "
                f"pip install {package}, or leave that worker out."
            )


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
