"""What is loaded when: looked up in fresh processes, where nothing was imported before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import nnviz3d
from nnviz3d.data.bundled import bundled

MODELS = ("tensorflow", "keras", "h5py")
DRAWING = ("vtk", "vtkmodules", "pyvista")
BROWSER = ("trame", "trame_server", "trame_client", "wslink", "aiohttp")
LEARNING = ("sklearn", "scipy")
HEAVY = (*MODELS, *DRAWING, *BROWSER, *LEARNING, "matplotlib")
PACKAGE = Path(nnviz3d.__file__).parent


REPORT = """
import json, sys
sys.stderr.write("\\0" + json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def loaded_by(code: str) -> set[str]:
    """Run code in a fresh process and return the top-level names of all modules that it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", f"try:\n    {code}\nexcept SystemExit:\n    pass\n{REPORT}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.rpartition("\0")[2]))


def modules_of(layer: str) -> list[str]:
    """Every module of a layer, by its full name, but those of the web app."""
    files = [f.relative_to(PACKAGE.parent) for f in sorted((PACKAGE / layer).rglob("*.py")) if "web" not in f.parts]
    return [".".join(f.with_suffix("").parts).removesuffix(".__init__") for f in files]


def test_the_package_itself_loads_nothing():
    loaded = loaded_by("import nnviz3d")
    assert not loaded & {*HEAVY, "numpy", "zarr", "pydantic", "cyclopts", "rich", "PIL"}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["snapshot", "--help"], ["capture", "--help"]], ids=" ".join
)
def test_help_loads_no_library_that_draws_or_computes(arguments):
    loaded = loaded_by(f"from nnviz3d.cli import main; main({arguments!r})")
    assert "nnviz3d" in loaded
    assert not loaded & {*HEAVY, "numpy", "zarr"}


@pytest.mark.parametrize(
    ("layer", "forbidden"),
    [
        ("data", HEAVY),
        ("scene", HEAVY),
        ("render", (*MODELS, *BROWSER, *LEARNING)),
        ("apps", (*MODELS, *BROWSER, *LEARNING)),
    ],
)
def test_a_layer_loads_only_what_it_may(layer, forbidden):
    modules = modules_of(layer)
    assert len(modules) >= 4
    loaded = loaded_by("import " + ", ".join(modules))
    assert not loaded & set(forbidden)


def test_render_is_what_loads_vtk():
    """Else the tests above would prove nothing."""
    assert "vtkmodules" in loaded_by("import nnviz3d.render.renderer")


def test_a_snapshot_never_loads_tensorflow(tmp_path):
    out = tmp_path / "out.png"
    loaded = loaded_by(
        f"from nnviz3d.cli import main; main(['snapshot', {str(bundled('digits.zarr.zip'))!r}, '-o', {str(out)!r}, "
        "'--size', '64x64'])"
    )
    assert out.exists()
    assert not loaded & {*MODELS, *BROWSER, *LEARNING, "pyvista"}


def test_inspecting_draws_nothing():
    loaded = loaded_by("from nnviz3d.cli import main; main(['inspect', '--json'])")
    assert not loaded & set(HEAVY)


def test_no_module_unpickles():
    words = ("import pickle", "allow_pickle=True", "joblib", "import dill", "import marshal")
    sources = list(PACKAGE.rglob("*.py"))
    assert len(sources) > 100
    for source in sources:
        text = source.read_text(encoding="utf-8")
        found = [word for word in words if word in text]
        assert not found, f"{source.relative_to(PACKAGE)} contains {found}"
