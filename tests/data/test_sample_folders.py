"""Folders of pictures, folders of class folders, and folders of other files."""

import numpy as np
import pytest
from PIL import Image

from nnviz3d.data.files.sample_folders import find_in_folder, read_folder
from nnviz3d.data.sample_sources import expand, notices_on, thumbnail_of
from nnviz3d.errors import SampleError


def draw(path, grey=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((12, 12, 3), grey, np.uint8)).save(path)


@pytest.fixture
def photos(tmp_path):
    for kind, grey in (("dog", 200), ("cat", 50)):
        for name in ("2.png", "1.png"):
            draw(tmp_path / "photos" / kind / name, grey)
    return tmp_path / "photos"


def test_hidden_files_are_not_read_as_pictures(tmp_path):
    for name in ("2.jpg", "1.jpg", ".cache.png"):
        draw(tmp_path / name)
    (tmp_path / "._1.jpg").write_bytes(b"\x00\x05\x16\x07 Mac OS X")
    assert [one.name for one in expand([str(tmp_path)])] == ["1.jpg", "2.jpg"]
    draw(tmp_path / ".hidden" / "3.jpg")
    assert read_folder(tmp_path).classes is None


def test_sub_folders_are_the_classes_in_the_order_of_their_names(photos):
    found = read_folder(photos)
    assert found.classes == ("cat", "dog")
    assert [(one.name, one.label) for one in found.samples] == [
        ("cat/1.png", 0),
        ("cat/2.png", 0),
        ("dog/1.png", 1),
        ("dog/2.png", 1),
    ]
    draw(photos / ".thumbnails" / "1.png")
    assert read_folder(photos).classes == ("cat", "dog")


def test_single_picture_of_a_class_folder_keeps_its_name_and_label(photos):
    last = expand([str(photos)])[-1]
    alone = expand([last.source])
    assert [(one.name, one.label) for one in alone] == [("dog/2.png", 1)]
    assert thumbnail_of(last.source).shape == (12, 12, 3)
    folder, picture = find_in_folder(last.source)
    assert folder.classes == ("cat", "dog")
    assert picture.label == 1
    assert find_in_folder(str(photos / "dog" / "2.png")) is None


def test_single_sub_folder_is_not_a_class(tmp_path):
    draw(tmp_path / "all" / "1.png")
    found = read_folder(tmp_path)
    assert found.classes is None
    assert [(one.name, one.label) for one in found.samples] == [("all/1.png", None)]


def test_pictures_in_the_folder_itself_hide_those_in_sub_folders(photos):
    draw(photos / "both.png")
    assert [one.name for one in read_folder(photos).samples] == ["both.png"]


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["a.png", "cats/b.png"], "The sub-folder cats of photos is not read: the folder itself holds pictures."),
        (
            ["a.png", "cats/b.png", "dogs/c.png"],
            "The sub-folders cats, dogs of photos are not read: the folder itself holds pictures.",
        ),
        (
            ["cats/a.png", "cats/old/b.png", "dogs/c.png"],
            "The sub-folder cats/old of photos is not read: only the sub-folders of the folder itself are read.",
        ),
        (["a.png", ".hidden/b.png"], None),
        (["cats/a.png", "dogs/b.png"], None),
    ],
)
def test_sub_folders_that_are_not_read_have_a_notice(tmp_path, names, sentence):
    for name in names:
        draw(tmp_path / "photos" / name)
    folder = str(tmp_path / "photos")
    whole = () if sentence is None else (f"{sentence} Name a sub-folder as an input of its own to read it.",)
    assert notices_on([folder, "digits:3", "random", folder]) == whole


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (
            ["a.npy", "b.npy", "c.heic"],
            r"holds no pictures, only 2 \.npy and 1 \.heic; expected \.bmp, .*\.tif.*x\.npy",
        ),
        (["README"], r"holds no pictures, only 1 unnamed"),
        (["train/cat/1.png", "val/cat/1.png"], r"only the sub-folders train, val without any; expected"),
        ([".hidden.png"], r"holds no pictures; expected"),
    ],
)
def test_refusal_of_a_folder_without_pictures_lists_its_content(tmp_path, monkeypatch, names, sentence):
    monkeypatch.setattr("nnviz3d.data.files.picture_files.find_spec", lambda name: None)
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(SampleError, match=sentence):
        read_folder(tmp_path)


def test_damaged_pictures_of_a_folder_are_left_out_by_name(photos):
    whole = (photos / "cat" / "1.png").read_bytes()
    (photos / "cat" / "cut.png").write_bytes(whole[:40])
    (photos / "dog" / "empty.jpg").write_bytes(b"")
    (photos / "dog" / "page.webp").write_text("<html>")
    found = read_folder(photos)
    assert [one.name for one in found.samples] == ["cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"]
    assert found.notice == (
        "Left out of photos: cat/cut.png (damaged or no picture), dog/empty.jpg (empty), dog/page.webp (damaged or no "
        "picture)."
    )
    assert notices_on([str(photos)]) == (found.notice,)
    Image.fromarray(np.zeros((12, 12), np.uint16)).save(photos / "dog" / "9.tif")
    assert read_folder(photos).samples[-1].name == "dog/9.tif"


def test_folder_without_pictures_is_one_of_sounds_or_of_texts(tmp_path):
    for name in ("pos/1.txt", "neg/2.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("great\nfun")
    found = read_folder(tmp_path)
    assert (found.kind, found.classes) == ("texts", ("neg", "pos"))
    assert [(one.name, one.label) for one in expand([str(tmp_path)])] == [("neg/2.txt", 0), ("pos/1.txt", 1)]
    assert expand([found.samples[1].source]) == expand([str(tmp_path)])[1:]
    (tmp_path / "pos" / "1.wav").write_bytes(b"RIFF")
    assert [one.name for one in read_folder(tmp_path).samples] == ["pos/1.wav"]


def test_heic_pictures_of_a_folder_are_left_out_with_the_package_that_reads_them(photos, monkeypatch):
    monkeypatch.setattr("nnviz3d.data.files.picture_files.find_spec", lambda name: None)
    for name in ("cat/IMG_1.HEIC", "dog/IMG_2.heic"):
        (photos / name).write_bytes(b"\0\0\0\x18ftypheic")
    found = read_folder(photos)
    assert len(found.samples) == 4
    assert found.notice == (
        "Left out of photos: IMG_1.HEIC and 1 more (HEIC, read by the package pillow-heif: pip install 'nnviz3d[heic]')."
    )
