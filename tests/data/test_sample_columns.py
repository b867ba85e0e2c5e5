"""The reader of tables about samples: kinds of columns, empty cells, order, and what is no such table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnviz3d.data.files.sample_columns import SampleColumn, read_sample_table
from nnviz3d.errors import SampleError


def column(tmp_path: Path, *cells: str, head: str = "a,other") -> SampleColumn:
    path = tmp_path / "points.csv"
    separator = ";" if ";" in head else ","
    path.write_text("\n".join([head, *(f"{cell}{separator}x" for cell in cells)]) + "\n")
    return read_sample_table(str(path)).columns[0]


def test_column_of_numbers_keeps_each_number_and_its_gaps(tmp_path):
    cells = [str(k / 4) for k in range(12)]
    found = column(tmp_path, *cells, "", "-1e3", "nan")
    assert not found.words
    np.testing.assert_array_equal(found.numbers, [*map(float, cells), np.nan, -1000, np.nan])
    found = column(tmp_path, *(f"{k},5" for k in range(12)), head="a;other")
    np.testing.assert_array_equal(found.numbers, np.arange(12) + 0.5)


def test_few_whole_numbers_are_categories_in_their_order(tmp_path):
    found = column(tmp_path, "10", "9", "", "2", "10")
    assert found.numbers is None
    assert found.words == ("2", "9", "10")
    assert found.codes.tolist() == [2, 1, -1, 0, 2]
    assert column(tmp_path, *map(str, range(11))).numbers is not None
    assert column(tmp_path, "1", "2.5").numbers is not None


def test_column_with_a_cell_that_is_no_number_holds_words(tmp_path):
    found = column(tmp_path, "b", "a", "b", "", "12_3")
    assert found.words == ("12_3", "a", "b")
    assert found.codes.tolist() == [2, 1, 2, -1, 0]
    assert column(tmp_path, "true", "false").words == ("false", "true")
    assert column(tmp_path, "", "").words == ()


def test_lines_are_put_in_the_order_of_the_samples_by_a_column_of_their_names(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("size,file\n3.5,c.png\n1.5,a.png\n2.5,b.png\n")
    table = read_sample_table(str(path))
    size, names = table.columns_for(("a.png", "b.png", "c.png"), "the embedding")
    assert size.numbers.tolist() == [1.5, 2.5, 3.5]
    assert names.codes.tolist() == [0, 1, 2]
    size, _ = table.columns_for(("photos/a.PNG", "photos/b.PNG", "c.png"), "the embedding")
    assert size.numbers.tolist() == [1.5, 2.5, 3.5], "folders and capital letters do not count"
    size, _ = table.columns_for(("x.png", "y.png", "c.png"), "the embedding")
    assert size.numbers.tolist() == [3.5, 1.5, 2.5], "the column is about something else"


def test_column_with_the_names_of_some_samples_is_refused_by_the_first_name_that_it_lacks(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("size,file\n3.5,c.png\n1.5,a.png\n2.5,b.png\n0.5,\n")
    table = read_sample_table(str(path))
    for names, count in ((("a.png", "x.png", "c.png", "y.png"), 2), (("in/A.png", "b.png", "in/x.png", "c.png"), 3)):
        with pytest.raises(
            SampleError, match=rf"column file holds the names of {count} of the 4 samples.*x\.png; write"
        ):
            table.columns_for(names, "the embedding")


def test_names_that_several_samples_have_are_taken_in_their_order_alone(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("size,file\n3,2.png\n1,1.png\n2,1.png\n")
    table = read_sample_table(str(path))
    assert table.columns_for(("a/2.png", "a/1.png", "b/1.png"), "it")[0].codes.tolist() == [2, 0, 1]
    with pytest.raises(SampleError, match=r"in another order, and several are called 1\.png"):
        table.columns_for(("a/1.png", "a/2.png", "b/1.png"), "it")


def test_numbers_of_classes_are_no_names(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("class\n1\n0\n1\n")
    (found,) = read_sample_table(str(path)).columns_for(("0", "1", "2"), "it")
    assert found.codes.tolist() == [1, 0, 1]


def test_changed_file_is_read_again(tmp_path):
    assert column(tmp_path, "b", "a").words == ("a", "b")
    assert column(tmp_path, "b", "a", "c").words == ("a", "b", "c")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "There is no table"),
        (b"", "holds no table"),
        (b"a,b\n", "no sample"),
        (b"a,b\n1\n", "has 1 values; the first line has 2"),
        (b"a,a\n1,2\n", "several columns called 'a'"),
        (b"a\xff\n1\n", "no UTF-8 text"),
    ],
)
def test_file_that_is_no_table_is_refused_in_one_sentence(tmp_path, content, said):
    path = tmp_path / "points.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SampleError, match=said):
        read_sample_table(str(path))


def test_folder_and_odd_names_are_refused(tmp_path):
    for path in (str(tmp_path), "a\0b", "x" * 5000):
        with pytest.raises(SampleError) as error:
            read_sample_table(path)
        assert str(error.value).isprintable()


def test_table_of_another_length_is_refused_with_both_lengths(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("a\n1\n")
    with pytest.raises(SampleError, match=r"has 1 line below .* the embedding of dense has 3 samples"):
        read_sample_table(str(path)).columns_for(("a", "b", "c"), "the embedding of dense")
