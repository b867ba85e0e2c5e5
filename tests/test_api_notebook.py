"""Tests of the Python API in a notebook's kernel."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

import nnviz3d
from nnviz3d.api.embedded import EmbeddedScene, in_notebook
from nnviz3d.data.bundled import bundled
from tests.support.exported import ExportedPage


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process count as a notebook's kernel."""
    ipython = ModuleType("IPython")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", ipython)


def framed(scene: object) -> str:
    """Return the HTML of a scene's frame."""
    shown = scene._repr_html_()
    assert shown.startswith("<iframe ")
    (text,) = re.findall(r'srcdoc="([^"]*)"', shown)
    return html.unescape(text)


@pytest.mark.slow
def test_show_in_a_notebook_is_one_page_without_a_server(kernel, tmp_path, monkeypatch, capfd) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as ipykernel does
    scene = nnviz3d.show(str(bundled("digits.zarr.zip")), size=(900, 420))
    assert isinstance(scene, EmbeddedScene)
    assert framed(scene) == scene.text
    assert "height: 420px" in scene._repr_html_()
    assert 'sandbox="allow-scripts allow-downloads"' in scene._repr_html_()
    assert scene.save(tmp_path / "digits.html").read_text(encoding="utf-8") == scene.text
    assert not re.search(r"""(src|href)=["']?https?://""", scene.text)
    said = capfd.readouterr()
    assert re.fullmatch(r"inline\.html: \d+ kB, 1 sample\n", said.out)
    assert said.err == "", "a notebook shows it in red"


MODEL = """
import sys
from types import ModuleType, SimpleNamespace

import keras
import numpy as np

import nnviz3d

sys.modules["IPython"] = ModuleType("IPython")
sys.modules["IPython"].get_ipython = lambda: SimpleNamespace(kernel=object())
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="scores")])
x = np.ones((3, 4), "float32") * np.arange(1, 4)[:, None]
nnviz3d.show(model, x, sample=1).save("shown.html")
nnviz3d.export(model, "part.html", x, samples="1:3")
nnviz3d.export(model, "one.html", x, sample=2)
"""
"""Runs in a process of its own, because TensorFlow cannot share one with the VTK of other tests."""


@pytest.mark.slow
@pytest.mark.tensorflow
def test_scenes_of_a_model_hold_all_of_a_few_samples_or_those_that_are_asked_for(tmp_path) -> None:
    subprocess.run([sys.executable, "-c", MODEL], check=True, cwd=tmp_path)
    shown, part, one = (ExportedPage(tmp_path / f"{name}.html").words["samples"] for name in ("shown", "part", "one"))
    assert [sample["index"] for sample in shown] == [1, 0, 2]  # the shown one is first
    assert [sample["index"] for sample in part] == [1, 2]
    assert [sample["name"] for sample in one] == ["x[2]"]


@pytest.mark.slow
def test_serve_in_a_notebook_shows_the_page_in_a_frame(kernel) -> None:
    with nnviz3d.serve(str(bundled("digits.zarr.zip"))) as viewer:
        shown = viewer._repr_html_()
        assert f'src="{html.escape(viewer.url)}"' in shown
    assert "iframe" not in viewer._repr_html_()


def test_a_terminal_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))  # as an import of nbclient leaves it
    for shell in (None, SimpleNamespace()):
        ipython = ModuleType("IPython")
        ipython.get_ipython = lambda shell=shell: shell
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        assert not in_notebook()
