"""TensorSpace.js 0.6.1, the peer that draws in the browser: its own LeNet, and VGG16, as pages of a local server."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PACKAGES = {
    "tensorspace@0.6.1": ("package/dist/tensorspace.min.js", "package/docs/keras/convertedModel"),
    "three@0.102.1": ("package/build/three.min.js",),
    "@tensorflow/tfjs@1.0.0": ("package/dist/tf.min.js",),
    "@tweenjs/tween.js@17.2.0": ("package/src/Tween.js",),
    "three-trackballcontrols@0.0.7": ("package/index.js",),
}
"""Files of npm packages that its pages need."""
_FOLDER = Path(tempfile.gettempdir()) / "nnviz3d-benchmarks" / "tensorspace"
_PATIENCE = 120
"""Seconds for one download."""
_WHOLE = """<!DOCTYPE html><title>TensorSpace</title>
<style>html, body, #container {{ margin: 0; width: 100%; height: 100%; }}</style>
<div id="container"></div>
<script src="three.min.js"></script><script src="Tween.js"></script>
<script>
  window.module = {{ exports: {{}} }}; window.exports = module.exports;
  window.require = (name) => name === "three" ? THREE : undefined;
</script>
<script src="index.js"></script>
<script>
  THREE.TrackballControls = module.exports;
  for (const name of ["module", "exports", "require"]) delete window[name];
</script>
<script src="tf.min.js"></script><script src="tensorspace.min.js"></script>
<script>
  const model = new TSP.models.Sequential(document.getElementById("container"));
  const layers = TSP.layers;
  {model}
</script>"""
_LENET = """
  model.add(new layers.GreyscaleInput());
  for (const kind of ["Conv2d", "Pooling2d", "Conv2d", "Pooling2d", "Dense", "Dense"]) {
    model.add(new layers[kind]({ initStatus: STATUS }));
  }
  model.add(new layers.Output1d({ outputs: [..."0123456789"] }));
  model.load({ type: "keras", url: "convertedModel/model.json" });
  model.init(() => model.predict(DIGIT, () => { window.ready = true; }));
"""
_VGG16 = """
  model.add(new layers.RGBInput({ shape: [224, 224, 3] }));
  for (const [count, filters] of [[2, 64], [2, 128], [3, 256], [3, 512], [3, 512]]) {
    for (let i = 0; i < count; i++) {
      model.add(new layers.Conv2d({ kernelSize: 3, filters, strides: 1, padding: "same", initStatus: "open" }));
    }
    model.add(new layers.Pooling2d({ poolSize: [2, 2], strides: [2, 2], initStatus: "open" }));
  }
  for (const units of [4096, 4096]) model.add(new layers.Dense({ units }));
  model.add(new layers.Output1d({ units: 1000 }));
  model.init(() => { window.ready = true; });
"""


@contextmanager
def tensorspace(digit: list[float]) -> Iterator[str]:
    """Serve TensorSpace's pages ``lenet.html``, ``lenet_open.html`` and ``vgg16.html``; yields their folder's address.

    Closed layers, its default, are single boxes; open layers show all feature maps.

    VGG16 has no weights here: its maps are drawn, each as the textured box that it is with weights. Skips the test if
    npm or its packages cannot be had.

    Parameters
    ----------
    digit
        The 784 pixels of the picture that LeNet gets, from 0 to 1.
    """
    _FOLDER.mkdir(parents=True, exist_ok=True)
    for package, wanted in _PACKAGES.items():
        _fetch(package, wanted)
    lenet = _LENET.replace("DIGIT", json.dumps(digit))
    pages = {
        "lenet": lenet.replace("STATUS", '"close"'),
        "lenet_open": lenet.replace("STATUS", '"open"'),
        "vgg16": _VGG16,
    }
    for name, model in pages.items():
        (_FOLDER / f"{name}.html").write_text(_WHOLE.format(model=model))
    handler = functools.partial(_Quiet, directory=str(_FOLDER))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


def _fetch(package: str, wanted: tuple[str, ...]) -> None:
    """Take files out of an npm package, once."""
    if all((_FOLDER / Path(name).name).exists() for name in wanted):
        return
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("TensorSpace is compared only where npm is installed.")
    with tempfile.TemporaryDirectory() as folder:
        try:
            packed = subprocess.run(
                [npm, "pack", "--silent", package],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
                check=True,
            )
        except (subprocess.SubprocessError, OSError):
            pytest.skip(f"npm cannot download {package}, so TensorSpace is not compared.")
        with tarfile.open(Path(folder) / packed.stdout.split()[-1]) as archive:
            archive.extractall(folder, filter="data")
        for name in wanted:
            found = Path(folder) / name
            (shutil.copytree if found.is_dir() else shutil.copy)(found, _FOLDER / found.name)
