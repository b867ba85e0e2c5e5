"""Sentences about a capture: notices for the terminal, and notes that the capture stores."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from nnviz3d.capture.attention import hidden_attention
from nnviz3d.capture.programs.describe import DescribedModel
from nnviz3d.capture.programs.hidden_networks import hidden_remarks
from nnviz3d.data.note_words import TEXT_NOT_STORED

_SHOWN = 2
"""Most notes on single samples that the terminal shows; the capture stores all of them."""


def first_notes(notes: Sequence[str]) -> Sequence[str]:
    """Return the notes on single samples for the terminal: the first few, and the number of the others."""
    notes = list(dict.fromkeys(notes))
    if len(notes) <= _SHOWN + 1:
        return notes
    more = f"{len(notes) - _SHOWN:,} more samples have a note like these; the picture of each sample shows its own."
    return (*notes[:_SHOWN], more)


def notes_on_model(described: DescribedModel, missing: Sequence[str], *, random: bool) -> list[str]:
    """Return the sentences that a reader of the capture needs to know about the model.

    Parameters
    ----------
    missing
        Ids of the nodes with an output that holds no numbers for each sample.
    random
        Whether the compiled program draws random numbers.
    """
    notes = [
        f"{path} is shown as one block: its code cannot run on symbolic tensors ({why})."
        for path, why in described.program.sealed.items()
    ]
    notes.extend(
        f"Attention inside {node_id} is not captured, because it is shown as one block."
        for node_id in hidden_attention(described)
    )
    notes.extend(hidden_remarks(described))
    calls = {node_id: described.call(node_id) for node_id in described.calls}
    notes.extend(
        f"The gates of {node_id} are not captured: they would take {call.gates_size / 2**20:,.0f} MB for each sample."
        for node_id, call in calls.items()
        if call.gates_size and not call.gates
    )
    types = {t.dtype for node in described.graph for t in described.call(node.id).outputs}
    notes.extend(f"{t} activations are stored as float32." for t in sorted(types & {"bfloat16", "float16", "float64"}))
    layers = {node_id: call.operation for node_id, call in calls.items() if isinstance(call.operation, keras.Layer)}
    rounded = [node_id for node_id, layer in layers.items() if layer.quantization_mode is not None]
    if rounded:
        notes.append(
            f"Quantized layers round their inputs too, so their connections add up to their outputs only roughly: "
            f"{', '.join(rounded)}."
        )
    if random or _has_random_operation(described):
        notes.append("The model draws random numbers while it runs; another run has other results.")
    notes.extend(_left_out(described, missing))
    return notes


def _left_out(described: DescribedModel, missing: Sequence[str]) -> list[str]:
    """Return a sentence for each reason why nodes with an output that is not stored have none."""
    reasons: dict[str, list[str]] = {}
    for node_id in dict.fromkeys(missing):
        types = {str(t.dtype) for t in described.call(node_id).outputs}
        text, complex_ = "string" in types, any(name.startswith("complex") for name in types)
        why = "complex numbers" if complex_ else "no numbers for each sample"
        start = TEXT_NOT_STORED if text else f"Not stored, because they hold {why}: "
        reasons.setdefault(start, []).append(node_id)
    return [f"{start}{', '.join(nodes)}." for start, nodes in reasons.items()]


def _has_random_operation(described: DescribedModel) -> bool:
    operations = (described.call(node.id).operation for node in described.graph)
    return any(not isinstance(o, keras.Layer) and "Random" in type(o).__name__ for o in operations)
