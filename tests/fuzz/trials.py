"""Trials of the fuzzer: damaged files of each kind, and a command that runs on them."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from tests.fuzz.damage import ODD_TEXTS, damaged_bytes, damaged_document, damaged_json, damaged_zip
from tests.fuzz.judge import REPOSITORY, Trial
from tests.support import captures, trainings

PICTURE = "out.png"
"""Path of the picture that a trial may write; paths for the capture process must be absolute."""
SNAPSHOT = ("-o", PICTURE, "--size", "96x64")
BUNDLED = ("attention", "classes_part", "decisions", "embedding", "features", "landscape")
EXPORTS = ("out.html", "out.zarr.zip", "out.glb", "out.csv", "out.svg", "out.pdf", "out.vtm")
"""Files that a trial of the command `export` may write."""


@dataclass(frozen=True)
class Material:
    """Intact files, from which trials are made.

    Attributes
    ----------
    models
        ``.keras`` and ``.h5`` files.
    captures
        Folders, one with explanations and one with a training.
    bundled
        Folders with the captures of bundled scenes, by the scenes' names; together they hold every kind of record.
    scenes
        Scene files.
    """

    models: tuple[Path, ...]
    captures: tuple[Path, ...]
    bundled: dict[str, Path]
    scenes: tuple[Path, ...]

    @staticmethod
    def made(folder: Path) -> Material:
        """Make the files; this takes as long as TensorFlow takes to start."""
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [sys.executable, "-m", "tests.fuzz.models", str(folder)], check=True, cwd=REPOSITORY, capture_output=True
        )
        models = (*sorted(folder.glob("*.keras")), *sorted(folder.glob("*.h5")))
        explained = captures.explained_capture(folder / "explained.zarr").path
        training = trainings.small_training(folder / "training.zarr").path
        bundled = {}
        for name in BUNDLED:
            bundled[name] = folder / f"{name}.zarr"
            with zipfile.ZipFile(REPOSITORY / "scenes" / f"{name}.zarr.zip") as archive:
                archive.extractall(bundled[name])
        scenes = tuple(sorted((REPOSITORY / "scenes").glob("*.toml")))
        return Material(models, (explained, training), bundled, scenes)

    @property
    def convolution(self) -> Path:
        """Path of an intact model whose input is pictures of 12x12 pixels."""
        return next(path for path in self.models if path.name == "convolution.keras")


def trial(kind: str, number: int, seed: int, material: Material, folder: Path) -> Trial:
    """Make the trial of a name in an empty folder."""
    name = f"{seed}/{kind}/{number}"
    rng = random.Random(name)
    folder.mkdir(parents=True)
    arguments = KINDS[kind](rng, material, folder)
    outputs = (PICTURE, *EXPORTS, "out.zarr")
    output = next((one for one in outputs if one in arguments or str(folder / one) in arguments), None)
    return Trial(name, tuple(arguments), folder, output, frozenset(os.listdir(folder)))


def _models(rng: random.Random, material: Material, folder: Path) -> list[str]:
    whole = rng.choice(material.models)
    path = folder / f"model{whole.suffix if rng.random() < 0.95 else rng.choice(('.keras', '.h5', '.txt', ''))}"
    if rng.random() < 0.3:
        path.write_bytes(damaged_bytes(rng, whole.read_bytes()))
    elif whole.suffix == ".keras":
        path.write_bytes(damaged_zip(rng, whole, lambda name, content: _member(rng, name, content)))
    else:
        shutil.copyfile(whole, path)
        with h5py.File(path, "r+") as file:
            _damage_hdf5(rng, file)
    return ["inspect", str(path), *_maybe(rng, "--json")]


def _member(rng: random.Random, name: str, content: bytes) -> bytes:
    return damaged_json(rng, content) if name.endswith(".json") else damaged_bytes(rng, content)


def _damage_hdf5(rng: random.Random, file: Any) -> None:
    datasets: list[str] = []
    file.visititems(lambda name, item: datasets.append(name) if isinstance(item, h5py.Dataset) else None)
    way = rng.randrange(5)
    if way == 0:
        del file[rng.choice(datasets)]
    elif way == 1:
        name = rng.choice(datasets)
        del file[name]
        file[name] = rng.choice((np.zeros((3, 3), "f4"), np.zeros((), "i8"), np.full(4, b"text")))
    elif way == 2:
        del file.attrs[rng.choice(list(file.attrs))]
    else:
        text = damaged_json(rng, str(file.attrs["model_config"]).encode())
        file.attrs["model_config"] = np.void(text) if b"\0" in text else text


def _captures(rng: random.Random, material: Material, folder: Path) -> list[str]:
    if rng.random() < 0.5:
        name = rng.choice(BUNDLED)
        path = _damaged_capture(rng, (material.bundled[name],), folder)
        if rng.random() < 0.2:
            return ["inspect", path.name, *_maybe(rng, "--json")]
        return ["snapshot", path.name, *SNAPSHOT, "--scene", name]
    path = _damaged_capture(rng, material.captures, folder)
    if rng.random() < 0.6:
        return ["inspect", path.name, *_maybe(rng, "--json")]
    scene = _maybe(rng, "--scene", rng.choice(("structure", "gradients", "statistics", "nodes", "training", "history")))
    return ["snapshot", path.name, *SNAPSHOT, *scene, *_maybe(rng, "--quantity", "gradient")]


def _damaged_capture(rng: random.Random, whole: Sequence[Path], folder: Path) -> Path:
    path = folder / "run.zarr"
    shutil.copytree(rng.choice(whole), path)
    files = sorted(p for p in path.rglob("*") if p.is_file())
    metadata = [p for p in files if p.name == "zarr.json"]
    way = rng.random()
    if way < 0.35:
        _rewrite(path / "zarr.json", lambda text: damaged_json(rng, text))
    elif way < 0.65:
        _rewrite(rng.choice(metadata), lambda text: damaged_json(rng, text))
    elif way < 0.9:
        _rewrite(rng.choice(files), lambda text: damaged_bytes(rng, text))
    else:
        rng.choice(files).unlink()
    if rng.random() < 0.15:
        packed = folder / "run.zarr.zip"
        with zipfile.ZipFile(packed, "w") as archive:
            for file in sorted(p for p in path.rglob("*") if p.is_file()):
                archive.write(file, file.relative_to(path).as_posix())
        shutil.rmtree(path)
        if rng.random() < 0.5:
            _rewrite(packed, lambda data: damaged_bytes(rng, data))
        path = packed
    return path


def _rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def _scenes(rng: random.Random, material: Material, folder: Path) -> list[str]:
    text = rng.choice(material.scenes).read_text(encoding="utf-8")
    capture = rng.choice(material.captures)
    path = folder / "my.toml"
    if rng.random() < 0.25:
        path.write_bytes(damaged_bytes(rng, text.encode()))
    else:
        document = tomllib.loads(text)
        document["source"] = {"capture": str(capture)}
        if rng.random() < 0.5:
            document |= _saved(rng)
        path.write_text(_toml(damaged_document(rng, document)), encoding="utf-8", errors="replace")
    if rng.random() < 0.2:
        return ["inspect", path.name]
    return ["snapshot", path.name, *SNAPSHOT]


def _saved(rng: random.Random) -> dict[str, Any]:
    """Return the tables that a saved scene has beside its views."""
    pose = {"position": [3.0, 4.0, 50.0], "target": [0.0, 0.0, 0.0], "up": [0.0, 1.0, 0.0], "field_of_view": 26.0}
    looks: tuple[dict[str, Any], ...] = (
        {"layer": "conv", "threshold": 0.3, "colormap": "viridis", "normalize": "layer", "time": 2.5},
        {"quantity": "gradient", "target": "1", "method": "vanilla", "opened": []},
        {"unfold": "conv", "unfolded": 0.5, "channel_order": "activity", "pick": {"layer": "conv", "index": [1, 2, 0]}},
        {"step": 1, "statistic": "mean", "pick": {"layer": "dense"}, "ranking": "weight", "against": 1},
    )
    frames: list[dict[str, Any]] = [{"at": 0.0, "pose": {**pose, "aspect": 1.6}}, {"at": 2.0, "target": "all"}]
    return {
        "look": rng.choice(looks),
        "camera": {"keyframes": frames, "pose": pose} if rng.random() < 0.5 else {"pose": pose},
        "layout": {"aspect": rng.choice((0.5, 1.6))},
    }


def _toml(document: Any) -> str:
    """Write a document as inline TOML; values that TOML cannot express become JSON, which is a mistake in TOML."""
    if not isinstance(document, dict):
        return _value(document)
    return "\n".join(f"{json.dumps(str(key))} = {_value(value)}" for key, value in document.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)


def _pictures(rng: random.Random, material: Material, folder: Path) -> list[str]:
    size = rng.choice(((12, 12), (1, 1), (1, 700), (40, 30), (3, 5000)))
    mode = rng.choice(("RGB", "L", "RGBA", "P", "1", "I;16", "CMYK", "F", "LA"))
    kind = rng.choice(("png", "jpeg", "bmp", "gif", "webp", "tiff"))
    picture = Image.fromarray(np.random.default_rng(rng.randrange(99)).integers(0, 256, (*size, 3), np.uint8))
    buffer = io.BytesIO()
    try:
        picture.convert(mode).save(buffer, kind)
    except (OSError, ValueError, KeyError):  # the format does not know the mode
        picture.save(buffer, kind)
    data = buffer.getvalue() if rng.random() < 0.25 else damaged_bytes(rng, buffer.getvalue())
    if kind == "png" and rng.random() < 0.2:  # its header claims an enormous size
        data = data[:16] + struct.pack(">II", rng.choice((0, 70000, 2**31 - 1)), rng.choice((1, 70000))) + data[24:]
    names = ("photo.png", "photo.jpg", f"photo.{kind}", "._photo.png", "photo", "photo[3].png", "a\nb.png")
    path = folder / rng.choice(names)
    path.write_bytes(data)
    source = str(folder if rng.random() < 0.2 else path)
    return ["inspect", str(material.convolution), "--input", source, *_preprocess(rng)]


def _preprocess(rng: random.Random) -> list[str]:
    return _maybe(rng, "--preprocess", rng.choice(("tf", "torch", "caffe", "unit", "none")))


def _arrays(rng: random.Random, material: Material, folder: Path) -> list[str]:
    kinds = ("f4", "f8", "u1", "i8", "?", "c8", "U3", "f2", "datetime64[s]", ">f4")
    shapes = ((2, 12, 12, 3), (12, 12, 3), (0, 12, 12, 3), (1, 12, 12, 1), (2, 12, 12), (4,), (), (1, 3, 12, 12))
    array = np.zeros(rng.choice(shapes), rng.choice(kinds))
    if array.dtype.kind == "f" and rng.random() < 0.3:
        array = np.full_like(array, rng.choice((np.nan, np.inf, 60000.0)))
    buffer = io.BytesIO()
    np.save(buffer, array)
    data = buffer.getvalue()
    if rng.random() < 0.3:
        data = data.replace(b"(2,", rng.choice((b"(9999999999,", b"(-2,", b"(2.5,", b"(((((", b"(True,")))
    if rng.random() < 0.4:
        data = damaged_bytes(rng, data)
    name = rng.choice(("x.npy", "x.npz"))
    if name == "x.npz":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
            archive.writestr(rng.choice(("photo.npy", "x.npy", "arr_0.npy", "photo")), data)
            if rng.random() < 0.5:
                archive.writestr("labels.npy", damaged_bytes(rng, data))
        data = packed.getvalue() if rng.random() < 0.7 else damaged_bytes(rng, packed.getvalue())
    (folder / name).write_bytes(data)
    rows = rng.choice(
        ("", "", "[0]", "[1]", "[0:2]", "[9]", "[-1]", "[2:1]", "[0:99999999999999]", "[x]", "[", "[1.5]")
    )
    return ["inspect", str(material.convolution), "--input", f"{folder / name}{rows}", *_preprocess(rng)]


def _classes(rng: random.Random, material: Material, folder: Path) -> list[str]:
    names = [rng.choice((*ODD_TEXTS, "cat", "dog", "cat", "Golden Retriever")) for _ in range(rng.randrange(8))]
    text = rng.choice(("\n", "\r\n", ",")).join(names)
    data = text.encode(rng.choice(("utf-8", "utf-8-sig", "utf-16", "latin-1")), errors="replace")
    (folder / "names.txt").write_bytes(data if rng.random() < 0.7 else damaged_bytes(rng, data))
    classes = ["--classes", str(folder / rng.choice(("names.txt", "names.txt", "names.txt", ".", "none.txt")))]
    asked = rng.choice((*ODD_TEXTS, "cat", "0", "4", "5", "-1", "kind[2]", "kind[9]", "conv[0]", "predicted", "1e3"))
    asked = asked.replace("\0", "0").replace("\udcff", "x")
    return [
        *("capture", str(material.convolution), *classes, "--class", asked),
        *(
            "--attribution",
            rng.choice(("vanilla", "grad_cam", "none", "vanilla,vanilla")),
            "-o",
            str(folder / "out.zarr"),
        ),
    ]


def _options(rng: random.Random, material: Material, folder: Path) -> list[str]:
    odd = [text.replace("\0", "0").replace("\udcff", "x") for text in ODD_TEXTS]
    numbers = ("0", "1", "-1", "2", "1e400", "nan", "inf", "-inf", "9" * 30, "1.5", "0x10", "1_000", "٣", "--", "1,2")
    options = (
        *("--sample", "--layer", "--threshold", "--colormap", "--normalize", "--ranking", "--quantity", "--class"),
        *("--method", "--against", "--step", "--scene", "--at", "--size", "--dataset", "--input", "--weights"),
    )
    given: list[str] = []
    for option in rng.sample(options, rng.choice((1, 1, 2, 3))):
        given += [option, rng.choice((*odd, *numbers, "conv", "gradient", "96x64", "0x0", "99999x99999", "digits:3"))]
    size = [] if "--size" in given else ["--size", "96x64"]
    target = rng.choice((*map(str, material.captures), *material.captures, "digits", "no-such.keras", *odd))
    command = ["snapshot", str(target), "-o", rng.choice((PICTURE, PICTURE, "", ".", "/", "no/x.png", "x.txt")), *size]
    return [*command, *given]


def _exports(rng: random.Random, material: Material, folder: Path) -> list[str]:
    whole = rng.choice((*map(str, material.captures), "digits", "structure"))
    target = whole if rng.random() < 0.6 else _damaged_capture(rng, material.captures, folder).name
    output = (
        rng.choice(EXPORTS) if rng.random() < 0.9 else rng.choice(("", ".", ".html", "no/x.html", "x.txt", "x.zip"))
    )
    scene = _maybe(rng, "--scene", rng.choice(("structure", "gradients", "statistics", "nodes", "training", "history")))
    odd = [text.replace("\0", "0").replace("\udcff", "x") for text in ODD_TEXTS]
    samples = ("0:2", "all", ":", "1", "0:99999999", "2:1", "0,0,0", "-1", "0:2:1", "٣", "9" * 30, *odd)
    sizes = ("50MB", "800kB", "1", "0", "-1", "1e9", "nan", "9" * 30, "20 kB", "0.5GiB", "٣MB", *odd)
    given = ["--samples", rng.choice(samples)] if rng.random() < 0.35 else []
    given += ["--max-size", rng.choice(sizes)] if rng.random() < 0.35 else []
    given += ["--float16"] if rng.random() < 0.2 else []
    quantity = _maybe(rng, "--quantity", "gradient") if rng.random() < 0.3 else []
    return ["export", target, "-o", output, *([] if whole in ("digits", "structure") else scene), *given, *quantity]


def _maybe(rng: random.Random, *arguments: str) -> list[str]:
    return list(arguments) if rng.random() < 0.5 else []


KINDS: dict[str, Callable[[random.Random, Material, Path], list[str]]] = {
    "models": _models,
    "captures": _captures,
    "scenes": _scenes,
    "pictures": _pictures,
    "arrays": _arrays,
    "classes": _classes,
    "options": _options,
    "exports": _exports,
}
"""For each kind of damaged file, the function that makes a trial."""
