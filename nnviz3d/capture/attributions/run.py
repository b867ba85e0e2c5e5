"""Run the requested attribution methods and write their maps."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nnviz3d.capture.attributions import METHODS
from nnviz3d.capture.attributions.baselines import make_baselines
from nnviz3d.capture.attributions.faithfulness import Faithfulness
from nnviz3d.capture.attributions.input_axes import explained_inputs
from nnviz3d.capture.attributions.method import Method, Settings
from nnviz3d.capture.attributions.spatial_layers import chosen_layers, input_under, spatial_layers
from nnviz3d.capture.programs.differentiable import DifferentiableModel, probability_of, score_of
from nnviz3d.capture.request_loop import Report
from nnviz3d.capture.targets import Slot
from nnviz3d.capture.work import Work, share_of
from nnviz3d.data.capabilities.attributions import (
    AUTOMATIC,
    TITLES,
    Attribution,
    write_attribution,
    write_attribution_layers,
)
from nnviz3d.data.request import Notice
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.targets import Explained
from nnviz3d.errors import ModelError

SEED = 0
"""Seed of all random numbers of the methods, so that equal captures have equal maps."""


def find_methods(names: Sequence[str]) -> tuple[Method, ...]:
    """Look methods up by name; ``Grad-CAM`` is ``grad_cam`` too.

    Raises
    ------
    ModelError
        If no method has that name.
    """
    found = []
    for name in names:
        key = name.strip().casefold().replace("-", "_").replace(" ", "_")
        if key not in METHODS:
            close = difflib.get_close_matches(key, METHODS, n=2)
            hint = f" Did you mean {' or '.join(close)}?" if close else ""
            known = ", ".join((AUTOMATIC, *METHODS))
            raise ModelError(f"There is no attribution method {name!r}; expected one of {known}.{hint}")
        found.append(METHODS[key])
    return tuple(dict.fromkeys(found))


def _named(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of single methods in a request."""
    return tuple(name for name in names if name != AUTOMATIC)


def methods_for(model: DifferentiableModel, outputs: Sequence[str], names: Sequence[str]) -> tuple[Method, ...]:
    """Look methods up by name; ``automatic`` alone is the one that suits the outputs of a model."""
    spatial = all(spatial_layers(model.described, output) for output in outputs)
    suited = "grad_cam" if spatial else "integrated_gradients"
    return find_methods(_named(names) or (suited,))


def layers_for(method: Method, model: DifferentiableModel, output: str, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the layers whose locations a method's maps cover."""
    if method.at == "input":
        return explained_inputs(model.described, output)
    return chosen_layers(model.described, output, wanted)


def check_methods(work: Work) -> None:
    """Refuse an attribution method that does not exist.

    Raises
    ------
    ModelError
        If there is such a method in the request.
    """
    find_methods(_named(work.insights.attributions))


def write_attributions(writer: CaptureWriter, work: Work, report: Report) -> None:
    """Compute and write the maps of all requested methods.

    A map that is not complete, although its method promises it, is reported, and noted with its sample.

    Raises
    ------
    ModelError
        If there is no such method or layer, or the method does not apply to the model.
    """
    tell = share_of(report, "explain")
    tell(0)
    methods = methods_for(work.model, [slot.output for slot in work.slots], work.insights.attributions)
    planned = [
        (method, slot, layers_for(method, work.model, slot.output, work.insights.layers))
        for method in methods
        for slot in work.slots
    ]
    total = sum(len(layers) for _, _, layers in planned)
    done = 0
    for method, slot, layers in planned:
        write_attribution_layers(writer, method.name, slot.name, layers)
        for layer in layers:

            def advance(step: int, of: int, before: int = done) -> None:
                tell((before + step / max(of, 1)) / total)

            missing: dict[int, float] = {}
            write_attribution(writer, slot.name, _maps(method, work, slot, layer, advance, missing.__setitem__))
            if missing:
                _report_missing(writer, work, method.name, slot, layer, missing, report)
            done += 1
            tell(done / total)


def _report_missing(
    writer: CaptureWriter,
    work: Work,
    method: str,
    slot: Slot,
    layer: str,
    missing: Mapping[int, float],
    report: Report,
) -> None:
    """Report maps whose sum is not the score's difference, with their relative errors."""
    told = TITLES[method][0]
    for sample, share in missing.items():
        target = slot.target(sample).slot
        writer.note(
            sample, f"{told} of {target} by {layer}: {share:.1%} of the score's difference is not accounted for."
        )
    worst = max(missing, key=lambda sample: missing[sample])
    are = "is" if len(missing) == 1 else "are"
    text = (
        f"{told}: {len(missing)} of {len(slot.index)} maps of {layer} for {slot.name} {are} not complete; most is missing "
        f"for {work.samples.names[worst]}, {missing[worst]:.1%} of the score's difference from the baseline's. Another "
        "baseline of nnviz3d.Insights may do better."
    )
    report(Notice(text=text))


def _maps(
    method: Method,
    work: Work,
    slot: Slot,
    layer: str,
    report: Callable[[int, int], None],
    note: Callable[[int, float], None],
) -> tuple[Attribution, ...]:
    """Compute a map for each sample, and measure its faithfulness."""
    model = work.model
    x = [np.asarray(array) for array in work.arrays]
    compared = _compared(model, layer)
    # Inputs without a baseline, such as tokens, have maps too, but no measure of their faithfulness.
    baselines = x if compared is None else make_baselines(model.described, x, compared, work.insights.baseline, SEED)

    def half(second: bool) -> Callable[[int, int], None]:
        return lambda done, of: report(done + of if second else done, 2 * of)

    asked = Settings(layer, baselines, SEED, half(False), note)
    values = method.attribute(model, x, slot.asked, score_of(slot.place), asked)
    measure = Faithfulness(model, probability_of(slot.place))
    curves = measure(x, slot.asked, layer, values, baselines, half(True))
    known: dict[str, object] = {"baseline": work.insights.baseline, "seed": SEED}
    settings = {name: known[name] for name in method.reads} | dict(method.constants)
    if len(curves.shares):
        settings["deletion"] = work.insights.baseline
    return tuple(
        Attribution(
            method.name, layer, values[i], explained, settings, curves.shares, curves.deletion[i], curves.insertion[i]
        )
        for i, explained in enumerate(_explained(slot))
    )


def _compared(model: DifferentiableModel, layer: str) -> str | None:
    """Return the input under a map: the layer itself, or the input whose locations correspond to the layer's."""
    inputs = model.described.graph.inputs
    if layer in inputs:
        return layer
    under = input_under(model.described, layer)
    return None if under is None else inputs[under]


def _explained(slot: Slot) -> tuple[Explained, ...]:
    probabilities = [None] * len(slot.index) if slot.probability is None else [float(p) for p in slot.probability]
    return tuple(
        Explained(slot.name, slot.target(i), float(score), probability)
        for i, (score, probability) in enumerate(zip(slot.score, probabilities, strict=True))
    )
