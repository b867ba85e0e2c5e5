"""Write model files in the form of Keras 2, by editing files of Keras 3."""

import json
import zipfile

import h5py

from nnviz3d.capture.loading.model_archive import objects


def settings(config, name):
    """Find the settings of a layer in an architecture."""
    return next(item["config"] for item in objects(config) if item["config"].get("name") == name)


def edit(path, change, version=None):
    """Change the architecture in a model file in place, and the version that it names."""
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            config = change(config) or config
            file.attrs["model_config"] = json.dumps(config).encode()
            file.attrs["keras_version"] = version or file.attrs["keras_version"]
        return path
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    parts["config.json"] = json.dumps(change(config) or config)
    if version is not None:
        parts["metadata.json"] = json.dumps({"keras_version": version})
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path
