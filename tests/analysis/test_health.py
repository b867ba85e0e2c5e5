"""Each rule of alarms, below, at and above its threshold, with numbers written by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnviz3d.analysis.health import Alarm, alarms, examine, first_alarms, summaries
from nnviz3d.data.graph import Edge, ModelGraph
from nnviz3d.data.training import STATISTICS
from tests.support.graphs import chain
from tests.support.trainings import figures, training_of

NAMES = ("input", "first", "second", "third", "scores")
GRAPH = chain([("input", "InputLayer", (8,)), *((name, "Dense", (6,)) for name in NAMES[1:])])


def healthy(steps: int = 2) -> np.ndarray:
    """Return the statistics of a healthy network of four layers: ``(steps, 5, K)``."""
    row = dict.fromkeys(STATISTICS, 0.0)
    row |= {"gradient_norm": 0.3, "weight_norm": 3.0, "update_ratio": 1e-3, "saturated": 0.2, "dead": 0.4}
    series = np.tile(np.array([row[name] for name in STATISTICS], np.float32), (steps, len(NAMES), 1))
    series[:, 0, :4] = np.nan
    return series


def seen(
    changes: dict[tuple[str, str], float], *, before: dict[tuple[str, str], float] | None = None, rate: float = 0.1
):
    """Examine a healthy network with some statistics changed at the last step, and others at the first."""
    series = healthy()
    for place, some in ((-1, changes), (0, before or {})):
        for (layer, name), value in some.items():
            series[place, NAMES.index(layer), STATISTICS.index(name)] = value
    return examine(GRAPH, series, 7, rate)


def named(found: tuple[Alarm, ...]) -> list[tuple[str, str]]:
    return [(alarm.kind, alarm.layer) for alarm in found]


def test_healthy_network_has_no_alarms():
    assert seen({}) == ()


@pytest.mark.parametrize(
    ("name", "calm", "alarming", "kind"),
    [
        ("gradient_norm", 0.3e-5 * 1.01, 0.3e-5 * 0.99, "vanishing"),
        ("gradient_norm", 599.0, 601.0, "exploding"),  # 100 x the norm of four layers of norm 3
        ("dead", 0.89, 0.9, "dead"),
        ("saturated", 0.89, 0.9, "saturated"),
        ("update_ratio", 0.499, 0.501, "update"),
        ("nonfinite_weights", 0, 1, "nonfinite"),
        ("nonfinite_before", 0, 1, "nonfinite"),
        ("nonfinite_gradients", 0, 1, "nonfinite"),
        ("nonfinite_activations", 0, 1, "nonfinite"),
    ],
)
def test_alarm_begins_at_its_threshold(name, calm, alarming, kind):
    assert seen({("second", name): calm}) == ()
    (found,) = seen({("second", name): alarming})
    assert (found.kind, found.layer, found.step) == (kind, "second", 7)
    assert found.figure == pytest.approx(alarming / (0.3 if kind == "vanishing" else 1), rel=1e-6)
    for word in ("second", "step 7", f"{found.threshold:.3g}" if found.threshold != 0.9 else "90%"):
        assert word in found.sentence


def test_small_updates_are_an_alarm_only_from_the_first_step_on():
    small = {("third", "update_ratio"): 1e-9}
    assert seen(small) == (), "a network that has learnt its task"
    assert named(seen(small, before=small)) == [("update", "third")]
    assert seen(small, before=small, rate=0.0) == (), "a schedule that starts at 0"


def test_weights_that_start_as_zeros_may_change_by_any_ratio():
    large = {("third", "update_ratio"): 1.0}
    assert named(seen(large)) == [("update", "third")]
    assert seen(large, before={("third", "update_ratio"): np.inf}) == ()


def test_zero_gradients_before_a_dead_layer_are_not_vanishing():
    nothing = {(layer, "gradient_norm"): 0.0 for layer in ("first", "second")}
    assert named(seen({**nothing, ("second", "dead"): 1.0})) == [("dead", "second")]
    assert named(seen(nothing)) == [("vanishing", "first"), ("vanishing", "second")]
    everything = {(layer, "gradient_norm"): 0.0 for layer in NAMES[1:]}
    assert seen(everything) == (), "a batch from which there is nothing to learn"


def test_zero_gradients_at_the_first_step_are_not_vanishing():
    series = healthy(1)
    series[0, 1:3, STATISTICS.index("gradient_norm")] = 0.0
    assert examine(GRAPH, series, 1) == ()
    assert named(examine(GRAPH, np.concatenate([series, series]), 2)) == [
        ("vanishing", "first"),
        ("vanishing", "second"),
    ]
    series[0, 3, STATISTICS.index("gradient_norm")] = 1e-7
    found = named(examine(GRAPH, series, 1))
    assert found == [("vanishing", layer) for layer in ("first", "second", "third")], "smaller and smaller, down to 0"


def test_exploding_gradient_suppresses_vanishing_ones():
    assert named(seen({("scores", "gradient_norm"): 1e9})) == [("exploding", "scores")]


def test_weights_that_two_calls_share_count_once():
    nodes = tuple(replace(node, path="second", call=1) if node.id == "third" else node for node in GRAPH)
    edges = tuple(Edge(*("second@1" if end == "third" else end for end in (e.source, e.target))) for e in GRAPH.edges)
    series = healthy()
    series[-1, 2:4, STATISTICS.index("gradient_norm")] = 100 * 27**0.5 + 1  # three layers of norm 3
    found = examine(ModelGraph("shared", nodes, edges, GRAPH.inputs, GRAPH.outputs), series, 7)
    assert named(found) == [("exploding", "second"), ("exploding", "second@1")]


def test_saturated_output_is_no_alarm():
    assert seen({("scores", "saturated"): 1.0}) == ()


def test_first_alarms_are_the_alarms_of_all_steps(tmp_path):
    series = figures(30)
    weights = STATISTICS.index("nonfinite_weights")
    broken = {1: (17, 18), 3: (8, 30), 4: (9, 30), 5: (17, 30)}  # the first one mends itself
    for layer, (since, until) in broken.items():
        series[since:until, layer, weights] = 3
    capture = training_of(tmp_path / "run.zarr", np.arange(30) + 1, series)
    training, graph = capture.training, capture.graph
    expected: dict[tuple[str, str], Alarm] = {}
    for at in range(30):
        for alarm in alarms(training, graph, at):
            expected.setdefault((alarm.kind, alarm.layer), alarm)
    found = first_alarms(training, graph)
    assert found == tuple(expected.values())
    assert {alarm.step for alarm in found if alarm.kind == "nonfinite"} == {9, 10, 18}


def test_layer_where_nan_began_is_first():
    series = healthy(4)
    at = {name: STATISTICS.index(name) for name in STATISTICS}
    series[1, 2, at["nonfinite_before"]] = 1
    series[1:, 1:, at["nonfinite_weights"]] = 48
    series[2:, 1:, at["nonfinite_before"]] = 48
    series[2:, 1:, at["dead"]] = 1.0
    for end in (2, 3, 4):
        found = examine(GRAPH, series[:end], end)
        assert named(found) == [("nonfinite", layer) for layer in ("second", "first", "third", "scores")]
    assert examine(GRAPH, series[:2], 2)[0].sentence == (
        "second: NaN or infinite at step 2: 1 of its weights (already before the step; alarm above 0)."
    )


def test_several_layers_broken_before_the_step_have_no_origin():
    series = healthy(2)
    series[1, 1:, STATISTICS.index("nonfinite_before")] = 48
    found = examine(GRAPH, series, 9)
    assert not any(alarm.origin for alarm in found)
    assert summaries(found, NAMES)[0].startswith("NaN or infinite in 4 layers, first … scores; such as: first: ")
    series[1, [1, 3, 4], STATISTICS.index("nonfinite_before")] = 0
    series[1, 1:, STATISTICS.index("nonfinite_weights")] = 48
    found = examine(GRAPH, series, 9)
    assert [alarm.layer for alarm in found if alarm.origin] == ["second"]
    assert summaries(found, NAMES)[0].startswith("NaN or infinite in 4 layers, first … scores; first: second: ")


def test_training_without_measurements_has_no_alarms():
    assert examine(GRAPH, np.full((1, len(NAMES), len(STATISTICS)), np.nan, np.float32), 1) == ()


def test_alarms_of_many_layers_are_one_sentence():
    graph = long()
    layers = [node.id for node in graph]
    series = np.tile(healthy(1)[:, 1:2], (1, len(layers), 1))
    series[0, :12, STATISTICS.index("gradient_norm")] = 1e-9 * (1 + np.arange(12))
    found = examine(graph, series, 1)
    assert summaries(found, layers) == (
        "Vanishing gradient in 12 layers, layer_0 … layer_11; worst: layer_0: vanishing gradient at step 1: its norm is "
        "3.33e-09 of the largest of all layers (alarm below 1e-05).",
    )
    assert summaries(found[:1], layers) == (found[0].sentence,)
    pair = [replace(alarm, kind="dead") for alarm in found[:2]]
    assert summaries([*pair, *found], layers)[0].startswith(
        "Dead units in 2 layers, layer_0 and layer_1; worst: layer_0"
    )


def long() -> ModelGraph:
    return chain([(f"layer_{i}", "Dense", (4,)) for i in range(20)])
