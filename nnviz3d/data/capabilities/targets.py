"""Explained targets: the numbers whose gradients and attributions are computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from nnviz3d.data.capabilities.capability import Capability, CaptureContents, CaptureOptions, split_names
from nnviz3d.errors import ModelError, UserError


@dataclass(frozen=True, kw_only=True)
class TargetFields:
    """Fields of the request.

    Attributes
    ----------
    targets
        A class by its number or name, any number of an output, ``OUTPUT[INDEX]``, the mean over a part of one,
        ``OUTPUT[2:9,4:8,1]``, or ``predicted``, the class that the model itself predicts; empty: ``predicted`` alone.
    """

    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class TargetOptions(CaptureOptions):
    """Options for the explained targets."""

    class_: Annotated[
        tuple[str, ...],
        "Targets to explain: classes by number or name, any output's number, dense_1[5], or the mean over a part of an "
        "output, mask[2:9,4:8,1]; by default the model's answer.",
    ] = ()

    def request_fields(self) -> Mapping[str, Any]:
        """Return the targets."""
        return {"targets": split_names(self.class_)}

    def check(self, insights: Any) -> None:
        """Refuse ``--class`` if nothing is explained."""
        if self.class_ and not _wanted(insights):
            raise UserError("--class says what is explained; say how with --gradients or --attribution.")


def _wanted(insights: Any) -> bool:
    return bool(insights.gradients or insights.attributions)


def explains(capture: CaptureContents, word: str) -> bool:
    """Whether a capture explains any of its samples by the target that a word names.

    Raises
    ------
    ModelError
        If the model has no such target.
    """
    from nnviz3d.data.target_words import find_target

    target = find_target(word, capture.graph, capture.classes)
    known = {found.target for sample in range(capture.committed) for found in capture.explanations(sample).targets}
    return bool(known) if target is None else target in known


def _missing(capture: CaptureContents, wanted: TargetFields) -> str:
    for word in wanted.targets:
        try:
            explained = explains(capture, word)
        except ModelError as error:
            return str(error)
        if not explained:
            return f"{capture.path.name} does not explain {word!r}; capture the model with --class {word}."
    return ""


TARGETS = Capability(
    name="targets",
    fields=TargetFields,
    options=TargetOptions,
    wanted=_wanted,
    check="nnviz3d.capture.explained_targets:check_targets",
    capture="nnviz3d.capture.explained_targets:write_explained_targets",
    missing=_missing,
    panel="nnviz3d.apps.web.panels.explanation:ExplanationPanel",
)
