"""The command line in a process forked from one that has the libraries loaded: saves the imports, a second a command.

Everything else is as in a fresh process: streams, working folder, environment, signal handlers and exit code. What depends
on the start of Python itself (signals during imports, `PYTHONIOENCODING`) needs a process of its own.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import nnviz3d

PACKAGE = Path(nnviz3d.__file__).parent
LOADED = ("data", "scene", "render", "apps")
"""Parts of the package that are loaded before the fork, without the web app."""


def run(*arguments: object, cwd: Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `nnviz3d` with these arguments, in a folder, and return its output."""
    words = list(map(str, arguments))
    asked = {"arguments": words, "cwd": str(cwd), "environment": environment or dict(os.environ)}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        server = _server()
        assert server.stdin is not None
        assert server.stdout is not None
        asked["streams"] = [f"/proc/{os.getpid()}/fd/{stream.fileno()}" for stream in (out, err)]
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode())
    return subprocess.CompletedProcess(words, code, *texts)


@cache
def _server() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.command_line"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PACKAGE.parent)


def _load() -> None:
    for part in LOADED:
        for file in sorted((PACKAGE / part).rglob("*.py")):
            if "web" not in file.parts:
                name = ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
                importlib.import_module(name.removesuffix(".__init__"))
    importlib.import_module("nnviz3d.cli")
    gc.freeze()


def _serve() -> None:
    """Answer each line of standard input with the exit code of a forked command; return in the forked process."""
    _load()
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for line in requests:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            for number, path in enumerate(asked["streams"], start=1):
                os.dup2(os.open(path, os.O_WRONLY), number)
            os.chdir(asked["cwd"])
            os.environ.clear()
            os.environ.update(asked["environment"])
            sys.argv = [str(PACKAGE / "__main__.py"), *asked["arguments"]]
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=answers, flush=True)
    with contextlib.suppress(BrokenPipeError):
        answers.close()
    sys.exit()


if __name__ == "__main__":
    _serve()
    from nnviz3d.__main__ import main

    main()
