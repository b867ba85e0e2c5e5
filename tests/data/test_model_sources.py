"""Kinds of model sources, recognized by prefix, ending or the files of a folder."""

import ast
from importlib.util import find_spec
from pathlib import Path

import pytest

from nnviz3d.data.model_sources import SOURCES, known_sources, names_model, source_kind


def loader(text):
    kind = source_kind(str(text))
    return None if kind is None else kind.load.partition(":")[2]


def test_kind_of_model_folder_is_known_by_its_files(tmp_path):
    assert loader(tmp_path) is None
    assert loader(tmp_path / "nowhere") is None
    (tmp_path / "config.json").touch()
    assert loader(tmp_path) is None
    (tmp_path / "model.weights.h5").touch()
    assert loader(tmp_path) == "load_keras_file"
    (tmp_path / "saved_model.pb").touch()
    assert loader(tmp_path) == "load_saved_model"


def test_kind_of_model_is_known_by_prefix_or_ending(tmp_path):
    assert loader("keras:VGG16") == "load_application"
    assert loader("nowhere/M.KERAS") == "load_keras_file"
    assert loader("m.h5") == loader("m.hdf5") == loader("m.weights.h5") == "load_h5_file"
    assert loader("m.txt") is None
    assert loader("") is None
    (tmp_path / "m.keras").mkdir()
    assert loader(tmp_path / "m.keras") is None
    assert names_model(str(tmp_path / "m.keras"))
    assert not names_model(str(tmp_path))


def test_known_sources_lists_all_kinds():
    assert all(kind.words in known_sources() for kind in SOURCES)
    assert " or " in known_sources()


@pytest.mark.parametrize("kind", SOURCES, ids=lambda kind: kind.words)
def test_every_kind_is_recognized_and_has_a_loader(kind):
    assert kind.prefix or kind.endings or kind.parts
    module, _, function = kind.load.partition(":")
    tree = ast.parse(Path(find_spec(module).origin).read_text())  # importing it would load TensorFlow
    assert function in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
