"""Kinds of folders that hold a model, recognized by their files."""

from nnviz3d.data.files.model_files import is_saved_model, is_unpacked


def test_kind_of_model_folder_is_known_by_its_files(tmp_path):
    assert not is_unpacked(tmp_path)
    assert not is_saved_model(tmp_path / "nowhere")
    (tmp_path / "config.json").touch()
    assert not is_unpacked(tmp_path)
    (tmp_path / "model.weights.h5").touch()
    assert is_unpacked(tmp_path)
    assert not is_saved_model(tmp_path)
    (tmp_path / "saved_model.pb").touch()
    assert is_saved_model(tmp_path)
