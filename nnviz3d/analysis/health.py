"""What goes wrong in a training: named at the step at which it is seen, on the layer that it happens to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.training import STATISTICS, Training

Kind = Literal["nonfinite", "exploding", "dead", "vanishing", "saturated", "update"]

TITLES: Mapping[Kind, str] = {
    "nonfinite": "NaN or infinite",
    "exploding": "exploding gradient",
    "dead": "dead units",
    "vanishing": "vanishing gradient",
    "saturated": "saturated units",
    "update": "update ratio out of range",
}
"""Each kind of alarm in words, the gravest first."""

VANISHING = 1e-5
"""Share of the largest gradient norm of any layer, at the same step.

Hochreiter (1991) and Glorot and Bengio (2010) say why gradients shrink from layer to layer. Under gradient descent such a
layer needs 100,000 steps for the way that another one goes in one; layers of a sound network lie within a hundred.
"""
EXPLODING = 100.0
"""Gradient norm in norms of all the network's weights together, taken at the first recorded step and as 1 at least.

A gradient of this length overthrows the network at a learning rate of 0.01 (see Pascanu, Mikolov and Bengio, 2013).
"""
DEAD = 0.9
"""Share of a layer's units that give 0 for every probe sample.

Few samples leave many units of a sound network at rest, about 40 % of 64 neurons for 8 digits; nine out of ten they do not.
"""
SATURATED = 0.9
"""Share of a hidden layer's numbers where its activation function is flat. An output may be as sure as it likes."""
LARGEST_UPDATE = 0.5
"""|after - before| / |before| of a layer's weights, of which Karpathy's rule of thumb (CS231n) wants 1e-3.

The first step of Adam or RMSprop at their usual rates may be a hundred times that in wide layers, which begin with small
weights; what changes by half of itself forgets what it has learnt.
"""
LEAST_UPDATE = 1e-7
"""The same: about what float32 can resolve. Only where it was below this from the first recorded step on, because the
updates of a network that has learnt its task may become as small as they like."""

_AT = {name: i for i, name in enumerate(STATISTICS)}
_NONFINITE = {
    "nonfinite_before": "of its weights (already before the step; alarm above 0)",
    "nonfinite_activations": "of its activations (for the probe samples; alarm above 0)",
    "nonfinite_gradients": "of the gradients by its weights (alarm above 0)",
    "nonfinite_weights": "of its weights (after the step; alarm above 0)",
}


@dataclass(frozen=True)
class Alarm:
    """Something that is wrong with a layer.

    Attributes
    ----------
    layer
        Node id.
    step
        The recorded step at which it is so.
    figure, threshold
        What was measured, and where the alarm begins.
    words
        Both, said as what they are.
    origin
        Whether the record shows that what is not finite came from this layer.
    """

    kind: Kind
    layer: str
    step: int
    figure: float
    threshold: float
    words: str
    origin: bool = False

    @property
    def title(self) -> str:
        """The kind in words."""
        return TITLES[self.kind]

    @property
    def grave(self) -> bool:
        """Whether the training is lost by it, or the layer is; others may yet recover."""
        return self.kind in ("nonfinite", "exploding", "dead")

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        return f"{self.layer}: {self.title} at step {self.step:,}: {self.words}."


def alarms(training: Training, graph: ModelGraph, at: int = -1) -> tuple[Alarm, ...]:
    """Name what is wrong after a recorded step.

    Parameters
    ----------
    training
        What was recorded.
    graph
        Of the model that it is of.
    at
        Which of the recorded steps, 0 to S - 1; from the last one back if negative.

    Returns
    -------
    Alarms, at most one of each kind for a layer: the gravest kind first, and of one kind the worst layer first, but for
    numbers that are not finite the layer that they came from, as far as the record tells.
    """
    if not len(training):
        return ()
    end = range(len(training))[at] + 1
    return examine(graph, _series(training)[:end], int(training.steps[end - 1]), float(training.learning_rate[end - 1]))


def first_alarms(training: Training, graph: ModelGraph) -> tuple[Alarm, ...]:
    """Name all that has ever been wrong, each kind and layer once, at the first recorded step at which it was so."""
    found: dict[tuple[Kind, str], Alarm] = {}
    series = _series(training)
    broken = _is_broken(series)
    began = broken.argmax(axis=0)[broken.any(axis=0)] if len(series) else np.empty(0, np.int64)
    for at, (step, rate) in enumerate(zip(training.steps.tolist(), training.learning_rate.tolist(), strict=True)):
        # No rule asks for more than when each layer broke, and to look at all that came before each time takes minutes.
        telling = np.unique([0, *began[began < at], at])
        for alarm in examine(graph, series[telling], step, rate):
            found.setdefault((alarm.kind, alarm.layer), alarm)
    return tuple(found.values())


def examine(graph: ModelGraph, series: NDArray[np.float32], step: int, rate: float = np.nan) -> tuple[Alarm, ...]:
    """Name what is wrong, from the numbers themselves.

    Parameters
    ----------
    series
        ``(S, L, K)``, as `Training.series`: of the first recorded step, perhaps of others, and of the one in question; S is
        1 if that is the first.
    step
        Its number.
    rate
        The learning rate it was made with; NaN if unknown.
    """
    return tuple(_Examination(graph, series, step, rate).alarms())


def groups(found: Iterable[Alarm]) -> tuple[tuple[Alarm, ...], ...]:
    """Return alarms, given as they are here, step by step and kind by kind."""
    return tuple(tuple(group) for _, group in groupby(found, key=lambda alarm: (alarm.step, alarm.kind)))


def heading(alike: Sequence[Alarm], layers: Sequence[str]) -> str:
    """Say which layers the alarms of one kind concern: ``vanishing gradient in 12 layers, a … l``.

    Parameters
    ----------
    alike
        One or more.
    layers
        All node ids in their order.
    """
    order = {layer: i for i, layer in enumerate(layers)}
    names = sorted((alarm.layer for alarm in alike), key=order.__getitem__)
    if len(names) == 1:
        return f"{alike[0].title} in {names[0]}"
    listed = f"{names[0]} and {names[1]}" if len(names) == 2 else f"{names[0]} … {names[-1]}"
    return f"{alike[0].title} in {len(names)} layers, {listed}"


def summaries(found: Iterable[Alarm], layers: Sequence[str]) -> tuple[str, ...]:
    """Say of each kind in one sentence which layers it concerns, and all that is known of the worst one.

    Parameters
    ----------
    found
        Alarms as they are given here.
    layers
        All node ids in their order.
    """
    sentences = []
    for alike in groups(found):
        text = alike[0].sentence
        if len(alike) > 1:
            title = heading(alike, layers)
            first = "first" if alike[0].origin else "such as" if alike[0].kind == "nonfinite" else "worst"
            text = f"{title[0].upper()}{title[1:]}; {first}: {text}"
        sentences.append(text)
    return tuple(sentences)


class _Examination:
    """The rules, one a method, over the numbers of one step."""

    def __init__(self, graph: ModelGraph, series: NDArray[np.float32], step: int, rate: float) -> None:
        self._graph = graph
        self._layers = [node.id for node in graph]
        self._series = series
        self._step = step
        self._rate = rate
        self._broken = _is_broken(series[-1:])[0]

    def alarms(self) -> list[Alarm]:
        nonfinite, exploding, dead = self._nonfinite(), self._exploding(), self._dead()
        # Beside gradients without bounds all others are small.
        vanishing = [] if nonfinite or exploding else self._vanishing(dead)
        return [*nonfinite, *exploding, *dead, *vanishing, *self._saturated(), *self._update(vanishing)]

    def _now(self, name: str) -> NDArray[np.float64]:
        """Return a statistic of all layers, ``(L,)``."""
        return self._series[-1, :, _AT[name]].astype(np.float64)

    def _first(self, name: str) -> NDArray[np.float64]:
        return self._series[0, :, _AT[name]].astype(np.float64)

    def _alarm(self, kind: Kind, i: int, figure: float, threshold: float, words: str) -> Alarm:
        return Alarm(kind, self._layers[i], self._step, float(figure), float(threshold), words)

    def _nonfinite(self) -> list[Alarm]:
        if not self._broken.any():
            return []
        counts = _counts(self._series)
        began = _is_broken(self._series).argmax(axis=0)
        clean = [bool(counts[began[i], i, 0] == 0) for i in range(len(self._layers))]
        found = sorted(np.nonzero(self._broken)[0].tolist(), key=lambda i: (began[i], clean[i], i))
        # Weights that were broken before the step broke all others in it; whichever of several began nobody knows.
        suspects = [i for i in found if (began[i], clean[i]) == (began[found[0]], False)]
        alarms = []
        for i in found:
            where = next(k for k, count in enumerate(counts[-1, i]) if count)
            count, words = int(counts[-1, i, where]), list(_NONFINITE.values())[where]
            alarm = self._alarm("nonfinite", i, count, 0, f"{count:,} {words}")
            alarms.append(replace(alarm, origin=suspects == [i]))
        return alarms

    def _exploding(self) -> list[Alarm]:
        # Weights that several calls share are there once.
        weights = self._first("weight_norm")[[node.call == 0 for node in self._graph]]
        norm = float(np.sqrt(np.sum(np.square(weights[np.isfinite(weights)]))))
        threshold = EXPLODING * max(norm, 1.0)
        gradients = self._now("gradient_norm")
        return [
            self._alarm(
                "exploding",
                i,
                gradients[i],
                threshold,
                f"its norm is {gradients[i]:.3g} (alarm above {threshold:.3g}, {EXPLODING:g} times that of all weights)",
            )
            for i in _worst(gradients, gradients > threshold, largest=True)
        ]

    def _dead(self) -> list[Alarm]:
        # TensorFlow's ReLU makes 0 of NaN, which is no rest.
        shares = np.where(self._broken, np.nan, self._now("dead"))
        return [
            self._alarm(
                "dead", i, shares[i], DEAD, f"{shares[i]:.0%} give 0 for every probe sample (alarm from {DEAD:.0%})"
            )
            for i in _worst(shares, shares >= np.float32(DEAD), largest=True)
        ]

    def _vanishing(self, dead: Sequence[Alarm]) -> list[Alarm]:
        norms = self._now("gradient_norm")
        largest = np.nanmax(norms, initial=0.0)
        if not largest:
            return []  # there is nothing to learn from this batch
        shares = norms / largest
        behind = self._up_to({alarm.layer for alarm in dead})
        explained = np.array([layer in behind for layer in self._layers]) & (norms == 0)
        if len(self._series) == 1 and not np.any((norms > 0) & (shares < VANISHING)):
            # No chain of ever smaller gradients leads there: they come through a factor that starts as 0, as the last
            # scale of a residual branch may (Goyal et al., 2017).
            explained |= norms == 0
        return [
            self._alarm(
                "vanishing",
                i,
                shares[i],
                VANISHING,
                f"its norm is {shares[i]:.3g} of the largest of all layers (alarm below {VANISHING:g})",
            )
            for i in _worst(shares, (shares < VANISHING) & ~explained, largest=False)
        ]

    def _saturated(self) -> list[Alarm]:
        shares = self._now("saturated")
        hidden = np.array([layer not in self._graph.outputs for layer in self._layers])
        return [
            self._alarm(
                "saturated",
                i,
                shares[i],
                SATURATED,
                f"{shares[i]:.0%} of its numbers lie where its activation function is flat (alarm from {SATURATED:.0%})",
            )
            for i in _worst(shares, (shares >= np.float32(SATURATED)) & hidden, largest=True)
        ]

    def _update(self, vanishing: Sequence[Alarm]) -> list[Alarm]:
        ratios = self._now("update_ratio")
        first = with_first_update(self._series)[:, _AT["update_ratio"]].astype(np.float64)
        # What was all zeros at first has to change by more than it is.
        large = (ratios > LARGEST_UPDATE) & ~np.isinf(first)
        small = (ratios < LEAST_UPDATE) & (first < LEAST_UPDATE) & (self._now("gradient_norm") > 0)
        told = {alarm.layer for alarm in vanishing}
        small &= np.array([layer not in told for layer in self._layers]) & (self._rate != 0)
        return [
            *(
                self._alarm("update", i, ratios[i], LARGEST_UPDATE, _updated(ratios[i], "above", LARGEST_UPDATE))
                for i in _worst(ratios, large, largest=True)
            ),
            *(
                self._alarm("update", i, ratios[i], LEAST_UPDATE, _updated(ratios[i], "below", LEAST_UPDATE))
                for i in _worst(ratios, small, largest=False)
            ),
        ]

    def _up_to(self, layers: set[str]) -> set[str]:
        """Return these layers and all that lead to them."""
        found = set(layers)
        for node in reversed(self._graph.nodes):
            if node.id in found:
                found.update(self._graph.sources(node.id))
        return found


def with_first_update(series: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the figures of the first of some steps, ``(L, K)``, with each layer's update ratio at its first update.

    An optimizer that accumulates gradients, or whose loss scale was too large, does not update at every step.
    """
    first: NDArray[np.float32] = series[0].copy()
    updates = series[:, :, _AT["update_ratio"]]
    at = (~np.isnan(updates)).argmax(axis=0)
    first[:, _AT["update_ratio"]] = np.take_along_axis(updates, at[np.newaxis], axis=0)[0]
    return first


def _series(training: Training) -> NDArray[np.float32]:
    """Return the `STATISTICS` of a training, ``(S, L, K)``."""
    if training.statistics == STATISTICS:
        return training.series
    # A record of an earlier version lacks a statistic; what nobody measured raises no alarm.
    series = np.full((*training.series.shape[:2], len(STATISTICS)), np.nan, np.float32)
    for name in set(training.statistics) & set(STATISTICS):
        series[:, :, _AT[name]] = training.statistic(name)
    return series


def _is_broken(series: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Say of each layer at each step whether any of its numbers are not finite, ``(S, L)``."""
    return np.asarray(np.any(_counts(series) > 0, axis=-1), dtype=np.bool_)


def _counts(series: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how many numbers of each layer at each step are not finite, ``(S, L, 4)``, where they were counted."""
    return np.asarray(np.nan_to_num(series[:, :, [_AT[name] for name in _NONFINITE]]))


def _worst(figures: NDArray[np.float64], chosen: NDArray[np.bool_], *, largest: bool) -> list[int]:
    """Return the chosen places, the worst first; of those alike in their order."""
    places = np.nonzero(chosen)[0]
    order = np.argsort(-figures[places] if largest else figures[places], kind="stable")
    return [int(i) for i in places[order]]


def _updated(ratio: float, side: str, threshold: float) -> str:
    return f"its weights changed by {ratio:.3g} of their norm (alarm {side} {threshold:g})"
