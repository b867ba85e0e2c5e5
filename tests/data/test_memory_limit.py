"""The limit on the memory that one file may take."""

import pytest

from nnviz3d.capture.inputs.class_files import read_classes
from nnviz3d.data.files.memory_limit import GIGABYTE, VARIABLE, check_size, limit, set_limit
from nnviz3d.errors import SampleError, UserError
from nnviz3d.scene.spec import read_scene


def test_limit_is_two_gigabytes_unless_the_variable_sets_another(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert limit() == 2 * GIGABYTE
    monkeypatch.setenv(VARIABLE, "0.5")
    assert limit() == GIGABYTE // 2
    set_limit(3)
    assert limit() == 3 * GIGABYTE


@pytest.mark.parametrize("wrong", ["nan", "inf", "0", "-1", "much", "1e30", "9" * 5000])
def test_limit_that_is_no_number_of_gigabytes_is_one_sentence(monkeypatch, wrong):
    monkeypatch.setenv(VARIABLE, wrong)
    with pytest.raises(UserError, match="NNVIZ3D_LIMIT is a number of gigabytes, more than 0"):
        limit()


def test_refusal_names_the_size_the_limit_and_the_option():
    check_size("x.npy", 2 * GIGABYTE)
    with pytest.raises(SampleError, match=r"x\.npy would take 5\.0 GB of memory; the limit is 2\.0 GB\. .*--limit"):
        check_size("x.npy", 5 * GIGABYTE, SampleError)
    with pytest.raises(UserError, match="more than 1,048,576 GB"):
        check_size("x.npy", 10**5000)


@pytest.mark.parametrize(("name", "read"), [("names.txt", read_classes), ("scene.toml", read_scene)])
def test_text_file_of_gigabytes_is_refused_before_it_is_read(tmp_path, name, read):
    with (tmp_path / name).open("wb") as file:
        file.truncate(10 * GIGABYTE)
    with pytest.raises(UserError, match=r"would take 80\.0 GB of memory"):
        read(tmp_path / name)
