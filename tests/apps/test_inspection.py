"""Tests of `inspect`."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from nnviz3d.apps.inspection import describe, print_table
from nnviz3d.apps.inspection_ends import inputs_of, lines_of, targets_of
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.data.storage.axis_names import write_tokens, write_unit_names
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.storage.packed_connections import write_packed
from nnviz3d.data.storage.schema import PACKED, connection_path
from nnviz3d.data.target_words import find_target
from nnviz3d.errors import DamagedCapture
from tests.support import captures
from tests.support.graphs import chain
from tests.support.trainings import faulty_training

LONG = "branch_with_a_name_that_does_not_end_soon"


def printed(capture: Capture, width: int) -> list[str]:
    out = io.StringIO()
    print_table(capture, Console(file=out, width=width, color_system=None))
    return out.getvalue().splitlines()


def table(capture: Capture, width: int) -> list[str]:
    """The lines before those about inputs and outputs."""
    lines = printed(capture, width)
    return lines[: lines.index("")]


@pytest.fixture
def odd(tmp_path: Path) -> Capture:
    graph = chain([(name, "Dense", (3,)) for name in ("whole", "nan", "mixed", "infinite")])
    values = {
        "whole": [-1, 0, 2],
        "nan": [np.nan] * 3,
        "mixed": [np.nan, 3, 5],
        "infinite": [np.inf, -np.inf, np.inf],
    }
    return captures.write(tmp_path / "odd.zarr", graph, {k: np.array([v], np.float32) for k, v in values.items()})


def test_layer_without_finite_numbers_has_no_minimum_and_no_maximum(odd: Capture):
    found = {node["id"]: node["statistics"] for node in describe(odd)["nodes"]}
    json.dumps(found, allow_nan=False)
    assert {name: (s["min"], s["mean"], s["max"]) for name, s in found.items()} == {
        "whole": (-1, pytest.approx(1 / 3), 2),
        "nan": (None, None, None),
        "mixed": (3, None, 5),
        "infinite": (None, None, None),
    }
    assert (found["nan"]["nan"], found["infinite"]["infinite"]) == (3, 3)
    (line,) = [line for line in printed(odd, 200) if line.startswith("nan ")]
    assert line.split()[3:7] == ["NaN"] * 4


def test_standard_deviation_and_saturation_are_listed(tmp_path: Path):
    graph = chain([("plain", "Dense", (4,)), ("gate", "Dense", (4,))])
    graph = replace(graph, nodes=(graph.nodes[0], replace(graph.nodes[1], activation="tanh")))
    values = {name: np.array([[-1, 0, 0, 1]], np.float32) for name in ("plain", "gate")}
    capture = captures.write(tmp_path / "gate.zarr", graph, values)
    found = {node["id"]: node["statistics"] for node in describe(capture)["nodes"]}
    assert {name: (s["std"], s["saturated"]) for name, s in found.items()} == {
        "plain": (pytest.approx(0.5**0.5), None),
        "gate": (pytest.approx(0.5**0.5), 0.5),
    }
    lines = printed(capture, 200)
    assert lines[1].split()[4:] == ["min", "mean", "std", "max", "zeros", "saturated", "from"]
    assert lines[3].split()[-7:] == ["−1", "0", "0.707", "1", "50%", "50%", "plain"]


def test_brackets_of_names_are_printed(odd: Capture):
    odd.provenance = replace(odd.provenance, samples=("[bold]x.png :cat:",))
    assert printed(odd, 200)[0].endswith("numbers of [bold]x.png :cat:")
    graph = chain([("in[/]put", "InputLayer", (3,)), ("[red]dense", "Dense", (3,))])
    numbers = np.zeros((1, 3), np.float32)
    capture = captures.write(odd.path.with_name("b.zarr"), graph, {node.id: numbers for node in graph})
    assert table(capture, 200)[-1].startswith("[red]dense ")
    assert table(capture, 200)[-1].rstrip().endswith(" in[/]put")


def test_narrow_terminal_cuts_the_sources_first(tmp_path: Path):
    graph = chain([(LONG, "Dense", (3,)), ("end", "Dense", (3,))])
    values = {name: np.array([[-0.125, 0.25, 0.75]], np.float32) for name in (LONG, "end")}
    capture = captures.write(tmp_path / "long.zarr", graph, values)
    whole = len(table(capture, 400)[-1].rstrip())
    for width in (whole - 1, whole - 20):
        lines = table(capture, width)
        assert len(lines) == 4
        assert lines[2].split()[0] == LONG
        assert lines[3].split()[3:] == ["−0.125", "0.292", "0.358", "0.75", "0%", lines[3].split()[-1]]
        assert lines[3].rstrip().endswith("…")


def test_alarm_of_a_training_is_listed_with_its_first_step(tmp_path: Path):
    capture = faulty_training(tmp_path / "run.zarr")
    found = describe(capture)["training"]
    json.dumps(found, allow_nan=False)
    assert (found["recorded"], found["last"], found["finished"]) == (3, 20, True)
    assert [(a["kind"], a["layer"], a["step"], a["now"]) for a in found["alarms"]] == [
        ("dead", "dense", 10, False),
        ("nonfinite", "scores", 20, True),
        ("update", "conv", 20, True),
    ]
    assert found["alarms"][0]["threshold"] == 0.9
    assert printed(capture, 200)[-5:] == [
        "",
        "training: 3 steps recorded, the last is 20; alarms, when first seen:",
        *(alarm["sentence"] for alarm in found["alarms"]),
    ]


def test_alarm_of_many_layers_is_one_line(tmp_path: Path):
    capture = faulty_training(tmp_path / "run.zarr", layers=40)
    lines = printed(capture, 300)
    assert lines[-1].startswith("Vanishing gradient in 30 layers, dense_0 … dense_29; worst: dense_0: ")
    assert lines[-2].endswith("alarms, when first seen:")


def test_inspection_of_a_training_names_the_steps_of_its_numbers(recorded_capture: Capture):
    told = describe(recorded_capture)["training"]
    assert (told["last"], told["numbers_of"], told["weights_of"]) == (50, 50, 50)
    lines = printed(recorded_capture, 200)
    assert any("numbers of probe 0 after training step 50" in line for line in lines)
    assert any("the last is 50, weights stored after step 50;" in line for line in lines)


def test_inspection_of_a_capture_without_a_training_does_not_mention_one(odd: Capture):
    assert "training" not in describe(odd)
    assert not any("training" in line for line in printed(odd, 200))


def test_inspection_of_one_sample_lists_the_names_of_all_samples(odd: Capture):
    assert describe(odd)["samples"] == list(odd.provenance.samples)
    assert describe(odd, 0, ["x.npy[0]", "x.npy[1]"])["samples"] == ["x.npy[0]", "x.npy[1]"]


def test_statistics_of_all_samples_are_those_of_their_numbers_together():
    capture = open_capture(bundled("digits.zarr.zip"))
    told = describe(capture, 3, together=True)
    assert told["statistics_of"] == list(range(capture.committed))
    for node in told["nodes"]:
        values = np.asarray(capture.activations(node["id"]).values, np.float64)
        found = node["statistics"]
        assert (found["min"], found["max"]) == (values.min(), values.max())
        assert (found["mean"], found["std"]) == pytest.approx((values.mean(), values.std()), rel=1e-9)
        assert found["zeros"] == pytest.approx((values == 0).mean(), rel=1e-9)
    one = describe(capture, 3)
    assert one["statistics_of"] == [3]
    assert one["nodes"][4]["statistics"] != told["nodes"][4]["statistics"]


@pytest.mark.parametrize("packed", [True, False])
def test_connections_that_are_cut_short_are_found_if_all_samples_are_inspected(tmp_path: Path, packed: bool):
    values, path = captures.small_values(), tmp_path / "run.zarr"
    found = captures.small_connections(values)
    most = {pair: records["weight"][0].shown for pair, records in found.items()}
    also = [lambda writer: write_packed(writer, 0, found, most)] if packed else []
    captures.write(path, captures.small_graph(), values, connections=None if packed else found, also=also)
    whole = describe(open_capture(path), together=True)
    assert whole["samples"] == list(open_capture(path).provenance.samples)
    (file,) = (path / (PACKED if packed else connection_path("flatten", "dense")) / "weight").glob("c*")
    file.write_bytes(file.read_bytes()[:-40])
    describe(open_capture(path))
    with pytest.raises(DamagedCapture, match="connections"):
        describe(open_capture(path), together=True)


def test_table_lists_the_samples_and_says_whose_numbers_it_shows():
    capture = open_capture(bundled("digits.zarr.zip"))
    names = [f"x.npy[{i}]" for i in range(1000)]

    def table(**options):
        file = io.StringIO()
        print_table(capture, Console(file=file, width=400), 2, names, **options)
        return file.getvalue()

    assert "1,000 samples: x.npy[0], x.npy[1]," in table()
    assert ", ..., x.npy[999]\nnumbers are those of digits:1; --all takes all samples" in table()
    assert "numbers of all 10 samples" in table(together=True)


def ends(path: Path, shape: tuple[int, ...], values: object, **how: object) -> tuple[dict, list[str]]:
    graph = chain([("table", "InputLayer", (2,)), ("out", "Dense", shape)])
    numbers = {"table": np.array([[-1, 2]], np.float32), "out": np.array([values], np.float32)}
    capture = captures.write(path, graph, numbers, **how)
    (told,) = targets_of(capture, 0)
    return told, lines_of(inputs_of(capture, 0), [told])


def test_targets_of_every_kind_of_output_are_listed_with_their_values(tmp_path: Path):
    told, lines = ends(tmp_path / "a.zarr", (3,), [0.5, 0.125, 0.375], classes=("ant", "bee", "cat"))
    assert (told["kind"], told["words"], told["min"], told["max"]) == ("classes", ["ant", "bee", "cat"], 0.125, 0.5)
    assert lines[-1] == "  out: 3; 0.125 to 0.5; 3 classes: ant, bee, cat; largest: ant = 0.5, cat = 0.375, bee = 0.125"
    told, lines = ends(tmp_path / "b.zarr", (1,), [0.75], classes=("cat", "dog"))
    assert told["largest"] == [("dog", 0.75), ("cat", 0.25)]
    assert "2 classes: cat, dog, told apart by one number; cat is explained as its negative" in lines[-1]
    picture = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    told, lines = ends(tmp_path / "c.zarr", (2, 3, 2), picture, classes=("sky", "road"))
    assert told["largest"] == [("road", 6.0), ("sky", 5.0)]
    assert "2 classes: sky, road, each over the whole map, or a part as in out[2:9,4:8,0]" in lines[-1]
    told, lines = ends(tmp_path / "d.zarr", (4,), [1, 2, 3, 4])
    assert lines[-1] == "  out: 4; 1 to 4; 4 numbers, 0 to 3; largest: 3 = 4, 2 = 3, 1 = 2"
    for word in told["words"]:
        assert find_target(word, chain([("out", "Dense", (4,))]), None) is not None


def test_inputs_are_listed_with_range_tokens_and_columns(tmp_path: Path):
    def named(writer: CaptureWriter) -> None:
        write_tokens(writer, "table", [("great", "")])
        write_unit_names(writer, "table", ("age", "rooms"))

    _, lines = ends(tmp_path / "a.zarr", (1,), [0.75], also=[named])
    assert lines[:3] == ["", "inputs:", "  table: 2; −1 to 2; tokens great; columns age, rooms"]
    assert lines[-1] == "  out: 1; 0.75; out"
