"""Tests of what each import loads, in fresh processes, of the graph of all imports, and of unique names."""

from __future__ import annotations

import ast
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
    """Return the full names of a layer's modules, except those of the web app."""
    files = [f.relative_to(PACKAGE.parent) for f in sorted((PACKAGE / layer).rglob("*.py")) if "web" not in f.parts]
    return [".".join(f.with_suffix("").parts).removesuffix(".__init__") for f in files]


def import_graph() -> dict[str, set[str]]:
    """Return the modules of the package that each module imports, in functions and for type checkers too."""
    files = {
        ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): file
        for file in PACKAGE.rglob("*.py")
    }
    graph: dict[str, set[str]] = {}
    for module, file in files.items():
        imported = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
                if any(f"{node.module}.{name.name}" in files for name in node.names):
                    imported.discard(node.module)
            elif isinstance(node, ast.Import):
                imported |= {name.name for name in node.names}
        graph[module] = imported & files.keys()
    return graph


def in_circles(graph: dict[str, set[str]]) -> set[str]:
    """Return the modules on circles of imports, and those on a path from one circle to another."""
    left = dict(graph)
    while True:
        imported = set().union(*left.values()) if left else set()
        kept = {module: targets & left.keys() for module, targets in left.items() if module in imported}
        kept = {module: targets & kept.keys() for module, targets in kept.items() if targets & kept.keys()}
        if len(kept) == len(left):
            return set(left)
        left = kept


def test_circles_are_found_and_nothing_else():
    assert in_circles({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}) == {"b", "c"}
    assert in_circles({"a": {"b"}, "b": {"c"}, "c": set()}) == set()


def test_imports_make_no_circle():
    graph = import_graph()
    assert graph["nnviz3d.cli.targets"] >= {"nnviz3d.options", "nnviz3d.apps.open_target"}, "imports in functions count"
    assert graph["nnviz3d"] >= {"nnviz3d.capture", "nnviz3d.data.capture"}, "imports for type checkers count"
    assert not in_circles(graph)


def test_class_names_are_unique():
    """A class is found by its name alone."""
    files: dict[str, list[str]] = {}
    for file in PACKAGE.rglob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                files.setdefault(node.name, []).append(file.relative_to(PACKAGE).as_posix())
    assert len(files) > 100
    assert {name: found for name, found in files.items() if len(found) > 1} == {}


def test_public_names_exist():
    for name in nnviz3d.__all__:
        if name != "TrainingRecorder":  # needs TensorFlow
            assert getattr(nnviz3d, name) is not None


def test_package_import_loads_no_library():
    loaded = loaded_by("import nnviz3d")
    assert not loaded & {*HEAVY, "numpy", "zarr", "pydantic", "cyclopts", "rich", "PIL"}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["snapshot", "--help"], ["capture", "--help"]], ids=" ".join
)
def test_help_loads_no_library_that_draws_or_computes(arguments):
    loaded = loaded_by(f"from nnviz3d.cli import main; main({arguments!r})")
    assert "nnviz3d" in loaded
    assert not loaded & {*HEAVY, "numpy", "zarr", "pydantic"}


def test_capabilities_load_no_library():
    loaded = loaded_by("import nnviz3d.data.capabilities")
    assert not loaded & {*HEAVY, "numpy", "zarr", "pydantic", "cyclopts", "rich", "PIL"}


@pytest.mark.parametrize(
    ("layer", "forbidden"),
    [
        ("data", HEAVY),
        ("scene", HEAVY),
        ("render", (*MODELS, *BROWSER, *LEARNING)),
        ("apps", (*MODELS, *BROWSER, *LEARNING)),
    ],
)
def test_layer_loads_only_its_allowed_libraries(layer, forbidden):
    modules = modules_of(layer)
    assert len(modules) >= 4
    loaded = loaded_by("import " + ", ".join(modules))
    assert not loaded & set(forbidden)


def test_render_loads_vtk():
    """The tests above rely on it."""
    assert "vtkmodules" in loaded_by("import nnviz3d.render.renderer")


def test_snapshot_never_loads_tensorflow(tmp_path):
    out = tmp_path / "out.png"
    loaded = loaded_by(
        f"from nnviz3d.cli import main; main(['snapshot', {str(bundled('digits.zarr.zip'))!r}, '-o', {str(out)!r}, "
        "'--size', '64x64'])"
    )
    assert out.exists()
    assert not loaded & {*MODELS, *BROWSER, *LEARNING, "pyvista"}


def test_snapshot_of_a_capture_loads_no_library_that_writes_captures(tmp_path):
    loaded = loaded_by(
        f"from nnviz3d.cli import main; main(['snapshot', {str(bundled('digits.zarr.zip'))!r}, '-o', "
        f"{str(tmp_path / 'out.png')!r}, '--size', '64x64'])"
    )
    assert "vtkmodules" in loaded
    assert not loaded & {"zarr", "fsspec", "dask", "asyncio", "pandas", "av", "IPython"}


def test_inspect_loads_no_library_that_draws():
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
