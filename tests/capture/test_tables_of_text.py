"""Tables in text files as samples: columns by name or in order, labels, and a sentence for each mistake."""

import numpy as np
import pytest

from nnviz3d.capture.inputs.samples import read_samples
from nnviz3d.capture.programs.flat_program import InputSpec
from nnviz3d.data.sample_sources import expand
from nnviz3d.errors import SampleError

AGE, COLOR, ROOMS = (
    InputSpec("age", (1,), "float32"),
    InputSpec("color", (1,), "string"),
    InputSpec("rooms", (), "int64"),
)
IRIS = InputSpec("iris", (3,), "float32")


def read(folder, text, *specs, rows="", name="t.csv", **how):
    (folder / name).write_text(text, encoding="utf-8")
    return read_samples([f"{folder / name}{rows}"], specs, **how)


def test_columns_go_to_the_inputs_of_their_names(tmp_path):
    text = '\ufeffnote,Color,age,rooms,label\nx,red,31.5,2,flat\n\ny,"dark, green",52,4,house\nz,blue,1e1,0,flat\n'
    found = read(tmp_path, text, AGE, COLOR, ROOMS)
    assert [(a.dtype.kind, a.tolist()) for a in found.arrays] == [
        ("f", [[31.5], [52], [10]]),
        ("U", [["red"], ["dark, green"], ["blue"]]),
        ("i", [2, 4, 0]),
    ]
    assert (found.labels.tolist(), found.classes) == ([0, 1, 0], ("flat", "house"))
    assert found.names == ("t.csv[0]", "t.csv[1]", "t.csv[2]")
    assert set(found.notes) == {("t.csv: note is no input of the model and is not read.",)}
    part = read(tmp_path, text, AGE, COLOR, ROOMS, rows="[1:3]")
    assert part.arrays[0].tolist() == [[52], [10]]
    assert (part.labels.tolist(), part.names) == ([1, 0], ("t.csv[1]", "t.csv[2]"))


@pytest.mark.parametrize(
    ("text", "columns", "labels", "classes"),
    [
        ("a,b,c\n1,2.5,3\n4,5,-6e2\n", ("a", "b", "c"), None, None),
        ("1,2.5,3\n4,5,-6e2\n", None, None, None),
        ("0,1,2\n1,2.5,3\n4,5,-6e2\n", ("0", "1", "2"), None, None),
        (",a,b,c\n0,1,2.5,3\n1,4,5,-6e2\n", ("a", "b", "c"), None, None),
        ("a;b;c\n1;2,5;3\n4;5;-6e2\n", ("a", "b", "c"), None, None),
        ("a\tb\tc\n1\t2.5\t3\n4\t5\t-6e2\n", ("a", "b", "c"), None, None),
        ("a,b,c,class\n1,2.5,3,7\n4,5,-6e2,2.0\n", ("a", "b", "c"), [7, 2], None),
        ("kind,a,b,c\nwide,1,2.5,3\nlong,4,5,-6e2\n", ("a", "b", "c"), [1, 0], ("long", "wide")),
    ],
)
def test_all_columns_are_the_numbers_of_the_one_input(tmp_path, text, columns, labels, classes):
    found = read(tmp_path, text, IRIS)
    assert found.arrays[0].dtype == np.float32
    assert found.arrays[0].tolist() == [[1, 2.5, 3], [4, 5, -600]]
    assert found.columns == ({} if columns is None else {"iris": columns})
    assert (None if found.labels is None else found.labels.tolist()) == labels
    assert found.classes == classes


def test_lines_of_pixels_are_pictures_and_lines_of_measurements_are_time_steps(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64))
    text = "label," + ",".join(f"p{i}" for i in range(64)) + "\n"
    text += "".join(f"{i}," + ",".join(map(str, row)) + "\n" for i, row in enumerate(pixels))
    found = read(tmp_path, text, InputSpec("photo", (8, 8, 1), "float32"))
    assert np.array_equal(found.arrays[0][..., 0], pixels.reshape(2, 8, 8))
    assert np.array_equal(found.shown["photo"][1, ..., 2], pixels[1].reshape(8, 8))
    assert found.labels.tolist() == [0, 1]
    series = InputSpec("sensor", (None, 2), "float32")
    found = read(tmp_path, "x,y\n1,2\n3,4\n5,6\n", series)
    assert found.arrays[0].tolist() == [[[1, 2], [3, 4], [5, 6]]]
    assert (found.names, found.columns) == (("t.csv",), {"sensor": ("x", "y")})
    fixed = InputSpec("sensor", (2, 2), "float32")
    found = read(tmp_path, "x,y\n1,2\n3,4\n5,6\n", fixed, rows="[1:3]")
    assert (found.names, found.arrays[0].tolist()) == (("t.csv[1:3]",), [[[3, 4], [5, 6]]])
    assert [one.name for one in expand([f"{tmp_path}/t.csv[1:3]"], shapes={"sensor": (2, 2)})] == ["t.csv[1:3]"]
    with pytest.raises(SampleError, match=r"takes 4 numbers a sample, .*, or 2 lines of 2, as in t\.csv\[0:2\]\."):
        read(tmp_path, "x,y\n1,2\n3,4\n5,6\n", fixed)


@pytest.mark.parametrize(
    ("text", "specs", "sentence"),
    [
        ("age,colour\n3,red\n", (AGE, COLOR), r"has no column for the input color; its columns are age, colour\."),
        ("3,red\n", (AGE, COLOR), r"has no column for the inputs age, color|holds the names of columns and no sample"),
        ("3,4\n1,2\n", (AGE, ROOMS), r"does not name its columns; its first line has to, .* age, rooms\."),
        ("age,rooms\n3,2\nold,2\n", (AGE, ROOMS), r"t\.csv, line 3: the column age holds 'old'; .* needs a number"),
        ("age,rooms\n3,2\n,2\n", (AGE, ROOMS), r"t\.csv, line 3: the column age is empty"),
        ("age,rooms\n3,2\nnan,2\n", (AGE, ROOMS), r"line 3: the column age holds nan; .* a finite number"),
        ("age,rooms\n3,2.5\n", (AGE, ROOMS), r"the column rooms holds fractions, .* 'rooms' takes whole numbers"),
        ("age,rooms\n3,2\n3\n", (AGE, ROOMS), r"t\.csv, line 3, has 1 values; the first line has 2 columns"),
        ("age,age\n3,2\n", (AGE,), r"t\.csv has several columns called 'age'"),
        ("a,b\n1,2\n", (IRIS,), r"t\.csv has 2 columns \(a, b\); .* 'iris' takes 3 numbers a sample, one from each"),
        ("a,label\n1,2\n", (IRIS,), r"t\.csv has 1 columns \(a\) beside its column label; .* 'iris' takes 3 numbers"),
        ("a,b,c\n", (IRIS,), r"t\.csv holds the names of columns and no sample"),
        ("left,right\n1,2\n", (InputSpec("left", (2,), "float32"), AGE), r"no column for the input age"),
    ],
)
def test_table_that_does_not_fit_is_refused_in_one_sentence(tmp_path, text, specs, sentence):
    with pytest.raises(SampleError, match=sentence) as caught:
        read(tmp_path, text, *specs)
    assert "\n" not in str(caught.value)


def test_table_that_is_no_utf_8_text_is_refused(tmp_path):
    (tmp_path / "t.csv").write_bytes("größe\n1\n".encode("latin-1"))
    with pytest.raises(SampleError, match=r"t\.csv is no UTF-8 text; save it as UTF-8"):
        read_samples([str(tmp_path / "t.csv")], [AGE])
