"""Inputs become one source per sample, without a model."""

import io
import zipfile

import numpy as np
import pytest
from numpy.lib import format as npy
from PIL import Image

from nnviz3d.data.files.array_files import ArrayFile
from nnviz3d.data.sample_sources import InputSample, classes_in, expand, thumbnail_of
from nnviz3d.data.source_names import locate
from nnviz3d.errors import SampleError


@pytest.fixture
def folder(tmp_path):
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, :40] = (255, 0, 0)
    (tmp_path / "photos").mkdir()
    for name in ("b.png", "a.JPG"):
        Image.fromarray(pixels).save(tmp_path / "photos" / name)
    (tmp_path / "photos" / "notes.md").write_text("no picture")
    (tmp_path / "photos" / "prices.xlsx").write_text("1,2")
    np.save(tmp_path / "x.npy", np.linspace(0, 1, 5 * 28 * 28, dtype=np.float32).reshape(5, 28, 28))
    np.savez(tmp_path / "y.npz", images=np.zeros((4, 28, 28), np.uint8), labels=np.array([3, 1, 4, 1]))
    np.save(tmp_path / "one.npy", np.zeros((28, 28, 3), np.uint8))
    return tmp_path


def names(*inputs, **options):
    return [one.name for one in expand([str(name) for name in inputs], **options)]


def test_expand_returns_one_source_per_sample_in_order(folder):
    photos = folder / "photos"
    found = expand([str(photos), "digits:7-9", f"{folder}/x.npy[1:3]", f"{folder}/y.npz", str(photos / "b.png")])
    assert found == (
        InputSample(str(photos / "a.JPG"), "a.JPG"),
        InputSample(str(photos / "b.png"), "b.png"),
        InputSample("digits:7", "digits:7", 9),
        InputSample("digits:8", "digits:8", 5),
        InputSample("digits:9", "digits:9", 9),
        InputSample(f"{folder}/x.npy[1]", "x.npy[1]"),
        InputSample(f"{folder}/x.npy[2]", "x.npy[2]"),
        InputSample(f"{folder}/y.npz[0]", "y.npz[0]", 3),
        InputSample(f"{folder}/y.npz[1]", "y.npz[1]", 1),
        InputSample(f"{folder}/y.npz[2]", "y.npz[2]", 4),
        InputSample(f"{folder}/y.npz[3]", "y.npz[3]", 1),
        InputSample(str(photos / "b.png"), "b.png"),
    )


def test_no_input_means_random():
    assert expand([]) == expand(["random"]) == (InputSample("random", "random (seed 0)"),)
    assert names("random", seed=3) == ["random (seed 3)"]


def test_photograph_of_scikit_learn_is_found():
    assert expand(["sklearn:china.jpg"]) == (InputSample("sklearn:china.jpg", "china.jpg"),)


def test_shapes_of_the_model_tell_whether_an_array_is_one_sample(folder):
    assert names(folder / "one.npy") == ["one.npy"]
    assert len(names(folder / "x.npy")) == 5
    assert names(folder / "x.npy", shapes={"input": (5, 28, 28)}) == ["x.npy"]
    assert len(names(folder / "x.npy", shapes={"input": (28, 28, 1)})) == 5
    np.save(folder / "single.npy", np.zeros((28, 28), np.float32))
    assert names(folder / "single.npy", shapes={"input": (28, 28, 1)}) == ["single.npy"]
    np.save(folder / "vector.npy", np.zeros(7))
    assert names(folder / "vector.npy") == ["vector.npy"]


def test_arrays_for_several_inputs_are_one_list_of_samples(folder):
    np.savez(folder / "two.npz", left=np.zeros((3, 4)), right=np.zeros((3, 2)), y=np.zeros((3, 1)))
    assert names(folder / "two.npz") == ["two.npz[0]", "two.npz[1]", "two.npz[2]"]
    assert len(names(folder / "two.npz", shapes={"right": (2,), "left": (4,)})) == 3
    assert names(folder / "two.npz", shapes={"left": (3, 4), "right": (3, 2)}) == ["two.npz"]


def test_file_of_exactly_the_given_name_comes_before_rows_of_an_array(folder):
    np.save(folder / "x.npy[3].npy", np.zeros(4))
    (folder / "x.npy[3].npy").rename(folder / "x.npy[3]")
    with pytest.raises(SampleError, match=r"x\.npy\[3\] is no input"):
        locate(str(folder / "x.npy[3]"))
    assert names(folder / "x.npy[2]") == ["x.npy[2]"]


def test_expand_reads_only_headers_of_arrays(folder):
    whole = (folder / "x.npy").read_bytes()
    (folder / "x.npy").write_bytes(whole[:200])
    assert len(names(folder / "x.npy")) == 5


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("x.npy[5]", r"x\.npy\[5\] is out of range; x\.npy holds samples 0 to 4\."),
        ("x.npy[3:9]", r"x\.npy\[3:9\] is out of range"),
        ("x.npy[3:3]", r"x\.npy\[3:3\] is out of range"),
        ("one.npy[1]", r"one\.npy\[1\] is out of range; one\.npy holds one sample, 0\."),
        ("z.npy[1]", r"There is no input .*z\.npy; expected a picture"),
        ("photos/b.png[1]", r"There is no input .*b\.png\[1\]; expected a picture"),
        ("photos/notes.md", r"notes\.md is no input that nnviz3d knows.*\.npz.*\.webp\.$"),
        ("photos/prices.xlsx", r"prices\.xlsx is no input that nnviz3d knows.*\.csv"),
        (
            "photos/scan.heic",
            r"scan\.heic is a HEIC picture, read by .* pip install 'nnviz3d\[heic\]'\. Or",
        ),
        ("no table.csv", r"There is no input .*no table\.csv; expected a picture"),
        ("empty.csv", r"empty\.csv holds no table; expected names of columns"),
        ("blank.txt", r"blank\.txt holds no text; expected one sample on each line"),
        ("empty", r"The folder empty holds no pictures"),
        ("text.npy", r"text\.npy is damaged or not a NumPy file"),
        ("cut.npy", r"cut\.npy is damaged or not a NumPy file: its header has no end\."),
        ("negative.npy", r"negative\.npy is damaged or not a NumPy file: its shape is \(-9, 5\)\."),
        ("packed.npz", r"packed\.npz is an incomplete or damaged NumPy file: Error -3 while decompressing data"),
        ("objects.npy", r"Nothing is ever unpickled"),
        ("none.npy", r"none\.npy holds \(0, 5\); expected as many samples, at least one"),
        ("uneven.npz", r"uneven\.npz holds a \(3, 4\), b \(2, 4\); expected as many samples"),
    ],
)
def test_wrong_file_is_refused_in_one_sentence(folder, monkeypatch, source, sentence):
    monkeypatch.setattr("nnviz3d.data.files.picture_files.find_spec", lambda name: None)
    (folder / "empty").mkdir()
    (folder / "empty.csv").write_text("\n\n")
    (folder / "blank.txt").write_text(" \n\n")
    (folder / "photos" / "scan.heic").write_bytes(b"ftypheic")
    (folder / "text.npy").write_text("hello, this is no array")
    (folder / "cut.npy").write_bytes((folder / "x.npy").read_bytes().replace(b"}", b" ", 1))
    with (folder / "negative.npy").open("wb") as file:
        npy.write_array_header_1_0(file, {"shape": (-9, 5), "fortran_order": False, "descr": "<f4"})
    np.savez_compressed(folder / "packed.npz", x=np.zeros((3, 4)))
    packed = (folder / "packed.npz").read_bytes()
    (folder / "packed.npz").write_bytes(packed[:55] + b"\xff" * 8 + packed[63:])
    np.save(folder / "objects.npy", np.array([None], dtype=object), allow_pickle=True)
    np.save(folder / "none.npy", np.zeros((0, 5)))
    np.savez(folder / "uneven.npz", a=np.zeros((3, 4)), b=np.zeros((2, 4)))
    with pytest.raises(SampleError, match=sentence) as caught:
        expand([str(folder / source)])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("digits:1000", "digits:1000 is out of range; the bundled test digits are digits:0 to digits:999"),
        ("digits:seven", "'digits:seven' is not understood"),
        ("digits:9-3", "digits:9-3 is out of range"),
        ("sklearn:cat.jpg", "no photograph 'cat.jpg'"),
        ("", "An input's name is empty"),
    ],
)
def test_wrong_name_that_is_not_a_file_is_refused_in_one_sentence(source, sentence):
    with pytest.raises(SampleError, match=sentence):
        expand([source])


def test_thumbnail_is_made_of_every_kind_of_picture(folder):
    red = thumbnail_of(str(folder / "photos" / "a.JPG"), side=20)
    assert red.shape == (10, 20, 3)
    assert red.dtype == np.uint8
    assert red[5, 2, 0] > 230
    assert red[5, 2, 1] < 30
    assert red[5, 17].max() < 30
    assert thumbnail_of("digits:7").shape == (28, 28, 3)
    assert max(thumbnail_of("sklearn:china.jpg").shape) == 64
    first, last = (thumbnail_of(f"{folder}/x.npy[{i}]") for i in (0, 4))
    assert first.shape == (28, 28, 3)
    assert first.mean() < last.mean()
    assert thumbnail_of(f"{folder}/y.npz[3]").max() == 0
    assert thumbnail_of(f"{folder}/one.npy").shape == (28, 28, 3)
    np.save(folder / "vectors.npy", np.zeros((3, 5)))
    assert thumbnail_of(f"{folder}/vectors.npy[1]") is None
    assert thumbnail_of("random") is None


def test_thumbnail_is_rotated_by_exif_data(folder):
    pixels = np.zeros((400, 400, 3), np.uint8)
    pixels[:, :200] = 255  # light on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees to the right
    Image.fromarray(pixels).save(folder / "turned.jpg", exif=exif)
    upright = thumbnail_of(str(folder / "turned.jpg"), side=40)
    assert upright[:18].min() > 240
    assert upright[22:].max() < 15


def test_rows_are_read_from_every_kind_of_array_file(folder):
    values = np.arange(60, dtype=np.int16).reshape(5, 4, 3)
    np.save(folder / "c.npy", values)
    np.save(folder / "f.npy", np.asfortranarray(values))
    np.savez(folder / "z.npz", x=values)
    np.savez_compressed(folder / "p.npz", x=values.astype(">i2"))
    for name, key in (("c.npy", ""), ("f.npy", ""), ("z.npz", "x"), ("p.npz", "x")):
        file = ArrayFile(folder / name)
        assert file.headers[key].shape == (5, 4, 3)
        assert np.array_equal(file.read(key), values)
        assert np.array_equal(file.read(key, range(2, 4)), values[2:4])


@pytest.mark.parametrize("name", ["claims.npy", "claims.npz"])
@pytest.mark.parametrize("rows", [None, range(10**9, 10**9 + 1)], ids=["all", "one row"])
@pytest.mark.parametrize("columns_first", [False, True])
def test_array_larger_than_its_file_is_refused_before_memory_is_allocated(tmp_path, name, rows, columns_first):
    claims = io.BytesIO()
    header = {"shape": (2**60, 28, 28), "fortran_order": columns_first, "descr": "<f4"}
    npy.write_array_header_1_0(claims, header)
    claims.write(b"few")
    if name == "claims.npy":
        (tmp_path / name).write_bytes(claims.getvalue())
    else:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("x.npy", claims.getvalue())
    file = ArrayFile(tmp_path / name)
    (key,) = file.headers
    with pytest.raises(SampleError, match=r"its numbers would end at byte [\d,]+, but it has only 131 bytes\."):
        file.read(key, rows)


def test_empty_array_has_no_thumbnail(tmp_path):
    np.save(tmp_path / "none.npy", np.zeros((1, 0, 8, 3), np.uint8))
    assert thumbnail_of(f"{tmp_path}/none.npy[0]") is None


def test_file_of_another_format_with_a_pictures_name_is_refused(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "x.eps")
    (tmp_path / "x.eps").rename(tmp_path / "x.png")
    with pytest.raises(SampleError, match=r"x\.png cannot be read as a picture"):
        thumbnail_of(str(tmp_path / "x.png"))


def test_file_with_several_pictures_is_its_first_picture(tmp_path):
    red, blue = (Image.new("RGB", (40, 40), color) for color in ("red", "blue"))
    red.save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[blue])
    pixels = thumbnail_of(str(tmp_path / "phone.jpg"))
    assert pixels.shape == (40, 40, 3)
    assert pixels[..., 0].min() > 240
    assert pixels[..., 2].max() < 15


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("digits:99999999999", r"digits:99999999999 is out of range; the bundled test digits are digits:0 to"),
        (f"digits:{'9' * 5000}", r"is out of range; the bundled test digits"),
        (f"x.npy[{10**30}]", r"x\.npy\[1\d*\] is out of range; x\.npy holds samples 0 to 4\."),
        (f"x.npy[0:{'9' * 5000}]", r"cannot be opened \(File name too long\)"),
    ],
)
def test_positions_of_thousands_of_digits_are_out_of_range(folder, source, sentence):
    source = source if source.startswith("digits") else str(folder / source)
    with pytest.raises(SampleError, match=sentence) as caught:
        expand([source])
    assert len(str(caught.value)) < 700


def test_lines_of_texts_and_tables_and_sentences_are_samples(tmp_path):
    (tmp_path / "reviews.txt").write_text(
        "Great fun, and such a very long title for so little that nobody can remember it\n\na dull film\n"
    )
    (tmp_path / "homes.csv").write_text("age,kind\n3,hut\n5,flat\n")
    reviews, homes = tmp_path / "reviews.txt", tmp_path / "homes.csv"
    assert expand([str(reviews), "text:word", "two words", f"{homes}[1]"]) == (
        InputSample(f"{reviews}[0]", "Great fun, and such a very long title for so little that nobo..."),
        InputSample(f"{reviews}[1]", "a dull film"),
        InputSample("text:word", "word"),
        InputSample("two words", "two words"),
        InputSample(f"{homes}[1]", "homes.csv[1]", 0),
    )
    assert classes_in([str(homes)]) == ("flat", "hut")
    assert names(homes, shapes={"series": (None, 2)}) == ["homes.csv"]
    assert thumbnail_of(f"{reviews}[1]") is thumbnail_of("two words") is thumbnail_of(f"{homes}[0]") is None


def test_named_inputs_are_samples_side_by_side(folder):
    photos = folder / "photos"
    parts = [f"left={photos}", f"right={folder}/x.npy[1:3]"]
    found = expand(parts)
    assert [one.name for one in found] == ["a.JPG, x.npy[1]", "b.png, x.npy[2]"]
    assert expand([found[1].source]) == (found[1],)
    assert thumbnail_of(found[0].source).shape == (32, 64, 3)
    with pytest.raises(SampleError, match=r"There are 2 for 'left', 1 for 'right'; expected as many samples"):
        expand([parts[0], "right=digits:3"])
    with pytest.raises(SampleError, match=r"digits:3 names no input of the model, but others do; write NAME=FILE"):
        expand([parts[0], "digits:3"])
    with pytest.raises(SampleError, match=r"There is no input .*gone\.png"):
        expand(["left=gone.png"])
    assert names("text:E=mc2") == ["E=mc2"]
