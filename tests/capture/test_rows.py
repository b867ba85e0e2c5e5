"""Samples that are read in ranges are the samples that are read at once."""

import filecmp
import os

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

import nnviz3d
from nnviz3d.capture.inputs import rows
from nnviz3d.capture.inputs.rows import RowsOnDemand, converted, joined
from nnviz3d.capture.inputs.samples import read_samples
from nnviz3d.capture.programs.flat_program import InputSpec
from nnviz3d.errors import SampleError

COLOUR = InputSpec("photo", (8, 8, 3), "float32")
CLEAR = InputSpec("photo", (8, 8, 4), "float32")
GREY = InputSpec("photo", (8, 8, 1), "float32")
COUNT = 7


@pytest.fixture
def few(monkeypatch):
    """Return a function that makes ranges as short as two small pictures."""
    return lambda: monkeypatch.setattr(rows, "_BYTES", 2 * 8 * 8 * 3)


@pytest.fixture
def photos(tmp_path, rng):
    """Return a folder of pictures of several sizes and modes in two folders of classes."""
    for i, mode in enumerate(["RGB", "L", "RGBA", "P", "RGB", "LA", "RGB"]):
        folder = tmp_path / "photos" / ("cat" if i < 4 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (10 + i, 12, 4), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{i}.png")
    return tmp_path / "photos"


def same(one, other):
    """Whether two sets of samples are equal."""
    for mine, its in zip((*one.arrays, *one.shown.values()), (*other.arrays, *other.shown.values()), strict=True):
        assert mine.shape == its.shape
        assert mine.dtype == its.dtype
        assert np.array_equal(mine, its)
        assert np.array_equal(mine[1:6], np.asarray(its)[1:6])
    fields = ("names", "is_picture", "notes", "classes")
    return all(getattr(one, name) == getattr(other, name) for name in fields)


@pytest.mark.parametrize("spec", [COLOUR, CLEAR, GREY])
def test_pictures_in_ranges_are_those_read_at_once(photos, few, spec):
    files = sorted(photos.rglob("*.png"))
    asked = [[str(photos)], list(map(str, files)), [str(photos), *map(str, files)]]
    whole = [read_samples(sources, [spec]) for sources in asked]
    few()
    for sources, known in zip(asked, whole, strict=True):
        found = read_samples(sources, [spec])
        assert isinstance(found.arrays[0], RowsOnDemand)
        assert same(found, known)


@pytest.mark.parametrize("kind", ["bytes", "unit", "signed", "odd", "nan"])
def test_arrays_in_a_file_in_ranges_are_those_read_at_once(tmp_path, few, rng, kind):
    values = rng.random((COUNT, 8, 8, 3)).astype(np.float32)
    made = {
        "bytes": (values * 255).astype(np.uint8),
        "unit": values,
        "signed": values * np.float32(2) - np.float32(1),
        "odd": values * np.float32(1000),
        "nan": np.where(np.arange(COUNT)[:, None, None, None] == 5, np.float32(np.nan), values),
    }
    np.save(tmp_path / "x.npy", made[kind])
    sources = [[f"{tmp_path}/x.npy"], [f"{tmp_path}/x.npy[1:7]"]]
    whole = [read_samples(one, [COLOUR]) for one in sources]
    few()
    for one, known in zip(sources, whole, strict=True):
        found = read_samples(one, [COLOUR])
        assert isinstance(found.arrays[0], RowsOnDemand)
        assert np.array_equal(np.asarray(found.arrays[0]), np.asarray(known.arrays[0]), equal_nan=True)
        assert set(found.shown) == set(known.shown)
        assert kind == "nan" or same(found, known)


def test_fractions_are_refused_wherever_they_are(tmp_path, few):
    values = np.zeros((COUNT, 8, 8, 3))
    values[5, 2, 2, 1] = 0.5
    np.save(tmp_path / "x.npy", values)
    few()
    with pytest.raises(SampleError, match="holds fractions"):
        read_samples([f"{tmp_path}/x.npy"], [InputSpec("photo", (8, 8, 3), "int32")])


def test_large_file_that_is_cut_short_is_refused_at_once(tmp_path, few):
    np.save(tmp_path / "x.npy", np.zeros((COUNT, 8, 8, 3), np.float32))
    os.truncate(tmp_path / "x.npy", (tmp_path / "x.npy").stat().st_size - 4)
    few()
    with pytest.raises(SampleError, match=r"x\.npy is an incomplete or damaged"):
        read_samples([f"{tmp_path}/x.npy"], [COLOUR])


def test_joined_and_converted_ranges_are_read_across_their_borders():
    parts = [RowsOnDemand((n, 2), np.dtype(np.uint8), lambda a, b, n=n: np.full((b - a, 2), n)) for n in (2, 3, 1)]
    whole = joined([*parts, np.full((2, 2), 9)])
    assert np.array_equal(whole[1:8][:, 0], [2, 3, 3, 3, 1, 9, 9])
    assert whole.dtype == np.result_type(np.uint8, int)
    assert np.array_equal(converted(whole, lambda values: -values)[4:6], [[-3, -3], [-1, -1]])
    assert whole[3:3].shape == (0, 2)


def _files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_capture_of_samples_in_ranges_is_that_of_samples_in_memory(photos, tmp_path, few, rng):
    model = keras.Sequential(
        [keras.Input((8, 8, 3), name="photo"), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)]
    )
    np.save(tmp_path / "x.npy", rng.integers(0, 256, (COUNT, 8, 8, 3), dtype=np.uint8))
    sources = {
        "folder": str(photos),
        "files": [str(path) for path in photos.rglob("*.png")],
        "array": f"{tmp_path}/x.npy",
    }
    for name, source in sources.items():
        nnviz3d.capture(model, source, out=tmp_path / f"{name}-whole.zarr")
    few()
    for name, source in sources.items():
        nnviz3d.capture(model, source, out=tmp_path / f"{name}-ranges.zarr")
        one, other = tmp_path / f"{name}-whole.zarr", tmp_path / f"{name}-ranges.zarr"
        assert _files(one) == _files(other)
        differ = filecmp.cmpfiles(one, other, _files(one), shallow=False)[1:]
        assert differ in ((["zarr.json"], []), ([], [])), "the second of the capture is the only difference"


def test_picture_that_turns_out_to_be_damaged_late_is_one_sentence(photos, tmp_path, few):
    model = keras.Sequential([keras.Input((8, 8, 3), name="photo"), layers.Flatten(), layers.Dense(2)])
    pictures = sorted(photos.rglob("*.png"))
    Image.effect_noise((200, 200), 50).save(pictures[-1])
    whole = pictures[-1].read_bytes()
    pictures[-1].write_bytes(whole[: len(whole) // 2])
    few()
    with pytest.raises(SampleError, match=rf"{pictures[-1].name} cannot be read as a picture"):
        nnviz3d.capture(model, list(map(str, pictures)), out=tmp_path / "run.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
