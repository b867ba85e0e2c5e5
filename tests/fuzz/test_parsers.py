"""Readers of typed values and of small files, on unexpected input: each returns a value or one bounded sentence."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnviz3d.apps.target import parse_size
from nnviz3d.apps.web.origins import public_address
from nnviz3d.data.files.array_files import ArrayFile
from nnviz3d.data.files.sound_files import read_sound
from nnviz3d.data.files.table_files import read_table
from nnviz3d.data.sample_sources import expand, needs_model
from nnviz3d.data.source_names import digit_numbers, locate
from nnviz3d.data.targets import Target, region_of
from nnviz3d.errors import UserError
from nnviz3d.scene.spec import SceneSpec, parse_scene
from tests.fuzz.judge import SENTENCE

# The same examples every time, and no result depends on time.
steady = settings(
    derandomize=True, deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TEXT = st.text(max_size=60) | st.sampled_from(
    (
        "digits:9",
        "digits:9-3",
        "x.npy[3]",
        "x.npy[3:1]",
        "digits:" + "9" * 5000,
        "9" * 5000 + "x9",
        "sklearn:",
        "\x00",
        "\udcff",
        "a" * 300,
    )
)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
VIEW = st.fixed_dictionaries(
    {"kind": st.sampled_from(("activations", "connections", "kernels", "embedding", "nodes")) | VALUE},
    optional={"layers": VALUE, "threshold": VALUE, "strongest": VALUE, "reveal": VALUE, "layer": VALUE, "odd": VALUE},
)
SCENE = st.fixed_dictionaries(
    {"format": st.just(1) | VALUE, "views": st.lists(VIEW, max_size=3) | VALUE},
    optional={"title": VALUE, "source": VALUE, "layout": VALUE, "camera": VALUE, "odd": VALUE},
)


def answered(read: Callable[[], Any]) -> Any:
    """Return a reader's result; `None` if it refuses in one bounded sentence."""
    try:
        return read()
    except UserError as error:
        message = str(error)
        assert message.endswith((".", "?", ")", "…")), message
        assert len(message) < SENTENCE
        assert message.isprintable(), message
        return None


@steady
@given(SCENE)
def test_scene_document_is_a_scene_or_refused(document: dict[str, Any]):
    scene = answered(lambda: parse_scene(document))
    assert scene is None or isinstance(scene, SceneSpec)


@steady
@given(TEXT)
def test_input_word_is_located_or_refused(text: str):
    found = answered(lambda: locate(text))
    assert found is None or isinstance(found.path, Path)


@steady
@given(TEXT)
def test_digit_numbers_are_a_range_or_refused(text: str):
    found = answered(lambda: digit_numbers(text))
    assert found is None or len(found) > 0


@steady
@given(TEXT | st.from_regex(r"\d{1,6}[xX×]\d{1,6}", fullmatch=True))
def test_size_is_within_bounds_or_refused(text: str):
    size = answered(lambda: parse_size(text))
    assert size is None or all(64 <= side <= 8192 for side in size)


@steady
@given(
    st.binary(max_size=200), st.sampled_from((b"", b"\x93NUMPY\x01\x00\x46\x00", b"\x93NUMPY\x02\x00", b"PK\x03\x04"))
)
def test_array_file_is_read_or_refused(tmp_path: Path, rest: bytes, head: bytes):
    path = tmp_path / ("x.npz" if head.startswith(b"PK") else "x.npy")
    path.write_bytes(head + rest)

    def whole() -> int:
        file = ArrayFile(path)
        return sum(file.read(key, None).nbytes for key in file.headers)

    size = answered(whole)
    assert size is None or size <= len(rest)


@steady
@given(TEXT | st.builds("{}={}".format, TEXT, TEXT))
def test_input_is_listed_and_located_or_refused(text: str):
    answered(lambda: expand([text]))
    answered(lambda: needs_model(text))


@steady
@given(st.text(alphabet="ab,;\t\n\"'0123456789.-e \x00\ufeff", max_size=80) | st.binary(max_size=80))
def test_table_is_read_or_refused(tmp_path: Path, content: str | bytes):
    path = tmp_path / "x.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    table = answered(lambda: read_table(path))
    if table is not None:
        assert {len(row) for row in table.rows} == {table.width}
        answered(lambda: table.numbers(0, range(len(table.rows))))
        answered(lambda: table.labels(range(len(table.rows))))


@steady
@given(
    st.binary(max_size=60),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**16 - 1),
    st.sampled_from((0, 8, 16, 24, 32, 64)),
)
def test_sound_is_read_or_refused(tmp_path: Path, data: bytes, kind: int, frame: int, bits: int):
    for code, size in ((kind, frame), (1 + 2 * (kind % 2), bits // 8)):
        head = struct.pack("<HHIIHH", code, 1, 8000, 8000 * size, size, bits)
        path = tmp_path / "x.wav"
        path.write_bytes(b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + b"\xff" * 4 + data)
        sound = answered(lambda path=path: read_sound(path))
        assert sound is None or sound.values.shape[1] == 1


ORIGIN = TEXT | st.from_regex(r"(https?|ftp)://[ -~\u00e0\u2028]{0,30}(:[0-9]{1,7})?/?", fullmatch=True)


@steady
@given(ORIGIN)
def test_origin_is_plain_enough_for_a_header_or_refused(text: str):
    found = answered(lambda: public_address((text,), None))
    if found is not None:
        (origin,) = map(str, found.origins)
        assert re.fullmatch(r"https?://[a-z0-9._:\[\]-]+", origin), origin


@steady
@given(TEXT | st.from_regex(r"/?[ -~\u202e]{0,40}", fullmatch=True))
def test_base_path_is_plain_enough_for_an_address_or_refused(text: str):
    found = answered(lambda: public_address((), text))
    if found is not None:
        path = found.base_path
        assert path == "" or (path.startswith("/") and not path.endswith("/") and "//" not in path)
        assert path.isprintable()
        assert not set("?#{}%\\") & set(path)


@steady
@given(st.text(alphabet="0123456789:,.[] not-", max_size=20))
def test_region_is_a_target_or_refused(text: str):
    target = Target.of_text(f"out[{text}]")
    if target is not None and target.region:
        assert Target.of_slot(target.slot) == target
        try:
            whole = region_of(target.region, (4, 5))
        except ValueError:
            return
        assert region_of(whole, (4, 5)) == whole
