"""Tests of thumbnails and uploads, with a server of these addresses only."""

from __future__ import annotations

import asyncio
import io
import runpy
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from aiohttp import ClientSession, web
from PIL import Image

from nnviz3d.apps.samples import Sample
from nnviz3d.apps.web import sample_files
from nnviz3d.apps.web.sample_files import RUN, add_files
from nnviz3d.data.files.picture_files import reads_heic
from tests.support.graphs import chain


class Samples(list[Sample]):
    """A list of samples that tells the position of an added one."""

    def add(self, sample: Sample) -> int:
        self.append(sample)
        return len(self) - 1


async def file_server(samples: Sequence[Sample], folder: Path) -> tuple[web.AppRunner, int]:
    """Start a server; returns its runner, which ends it, and its port."""
    queries = SimpleNamespace(runner=SimpleNamespace(new_folder=lambda: folder))
    capture = SimpleNamespace(graph=chain([("in", "InputLayer", (2,)), ("out", "Dense", (2,))]))
    session = SimpleNamespace(samples=samples, queries=queries, scene=SimpleNamespace(capture=capture))
    application = web.Application()
    add_files(application, SimpleNamespace(session=session, synchronize=lambda: None))
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, runner.addresses[0][1]


def test_thumbnail_of_a_broken_sample_is_empty(tmp_path):
    np.save(tmp_path / "whole.npy", np.zeros((1, 8, 8, 3), np.uint8))
    whole = (tmp_path / "whole.npy").read_bytes()
    (tmp_path / "header.npy").write_bytes(whole.replace(b"}", b" ", 1))
    (tmp_path / "numbers.npy").write_bytes(whole[:-1])
    np.save(tmp_path / "none.npy", np.zeros((1, 0, 8, 3), np.uint8))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    names = ("whole.npy", "header.npy", "numbers.npy", "none.npy", "broken.png", "gone.png")

    async def statuses() -> list[int]:
        runner, port = await file_server([Sample(name, None, str(tmp_path / name)) for name in names], tmp_path)
        try:
            async with ClientSession(f"http://127.0.0.1:{port}") as client:
                answers = [await client.get(f"/samples/{i}/thumbnail?run={RUN}") for i in range(len(names))]
                return [answer.status for answer in answers]
        finally:
            await runner.cleanup()

    assert asyncio.run(statuses()) == [200, 204, 204, 204, 204, 204]


def test_interrupted_upload_leaves_no_file(tmp_path):
    async def until(there: bool) -> None:
        while (tmp_path / "x.png").exists() is not there:
            await asyncio.sleep(0.01)

    async def send_half() -> None:
        runner, port = await file_server([], tmp_path)
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /samples/new?name=x.png HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\nhalf")
            await asyncio.wait_for(until(True), 30)
            writer.close()
            await asyncio.wait_for(until(False), 30)
        finally:
            await runner.cleanup()

    asyncio.run(send_half())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.JPG", "x.webp", "x.heic"])
def test_damaged_picture_is_refused_when_it_arrives(tmp_path, name):
    async def send() -> str:
        runner, port = await file_server([], tmp_path)
        try:
            async with ClientSession(f"http://127.0.0.1:{port}") as client:
                answer = await client.post(
                    "/samples/new", params={"name": name}, data=b"\0\0\0\x18ftypheic" + bytes(64)
                )
                return (await answer.json())["problem"]
        finally:
            await runner.cleanup()

    problem = asyncio.run(send())
    unread = name == "x.heic" and not reads_heic()
    said = "pip install 'nnviz3d[heic]'" if unread else "expected a complete png, jpg, webp, bmp, gif"
    assert problem.startswith(name.lower())
    assert said in problem
    assert str(tmp_path) not in problem
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["bomb", "too many bytes"])
def test_picture_that_is_too_large_is_one_sentence_and_leaves_no_file(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(sample_files, "_LARGEST", 2 << 20)
    packed = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(packed, "PNG")
    content = packed.getvalue() if kind == "bomb" else bytes(3 << 20)

    async def send() -> str:
        runner, port = await file_server([], tmp_path)
        try:
            async with ClientSession(f"http://127.0.0.1:{port}") as client:
                answer = await client.post("/samples/new", params={"name": "x.png"}, data=content)
                return (await answer.json())["problem"]
        finally:
            await runner.cleanup()

    words = {
        "bomb": "x.png, 20,000 by 20,000 pixels, would take 4.5 GB of memory; the limit is 2.0 GB.",
        "too many bytes": "x.png is larger than 2 MB.",
    }
    assert asyncio.run(send()).startswith(words[kind])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "listed"),
    [
        ("two.csv", b"a,b\n1,2\n3,4\n", ["two.csv[0]", "two.csv[1]"]),
        ("two.txt", b"a good film\na bad one\n", ["a good film", "a bad one"]),
    ],
)
def test_each_row_and_each_line_of_an_uploaded_file_is_a_sample(tmp_path, name, content, listed):
    samples = Samples([Sample("first", 0)])

    async def send() -> dict[str, object]:
        runner, port = await file_server(samples, tmp_path)
        try:
            async with ClientSession(f"http://127.0.0.1:{port}") as client:
                answer = await client.post("/samples/new", params={"name": name}, data=content)
                return await answer.json()
        finally:
            await runner.cleanup()

    assert asyncio.run(send()) == {"position": 1}
    assert [one.name for one in samples] == ["first", *listed]
    assert [one.source for one in samples[1:]] == [f"{tmp_path / name}[{row}]" for row in range(2)]


def test_thumbnails_of_another_run_have_other_addresses():
    assert runpy.run_path(sample_files.__file__)["RUN"] != RUN
