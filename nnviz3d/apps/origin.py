"""The origin of an open scene's numbers, in the words of a scene file that opens them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nnviz3d.apps.samples import Sample
from nnviz3d.apps.target import WEIGHTS, ModelOptions, ResolvedTarget
from nnviz3d.data.files.paths import user_path
from nnviz3d.data.files.unfinished import is_unfinished
from nnviz3d.data.model_sources import has_prefix
from nnviz3d.data.printable import printable
from nnviz3d.data.source_names import in_folder
from nnviz3d.scene.spec import SceneSource

LIVE = (
    "The model is an object of a running program, which no file holds; nnviz3d.capture(model, x, 'run.zarr') keeps its "
    "numbers, and --scene shows them by this file."
)
_RANDOM_WEIGHTS = "The weights were random, and are drawn anew each time."


@dataclass(frozen=True)
class Reopened:
    """The samples of a scene file that shows a session's sample again.

    Attributes
    ----------
    source
        The source of the scene file; `None` if nothing can be opened again.
    against
        Index of the sample that is subtracted, if any.
    same
        Whether the sample is the one that is shown.
    remarks
        Sentences on what is not opened again.
    """

    source: SceneSource | None
    against: int | None = None
    same: bool = True
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class SceneOrigin:
    """The source of a scene, with absolute paths.

    Attributes
    ----------
    source
        As in a scene file; `None` for a live model.
    count
        Number of samples that the source itself holds: in the capture, or among the inputs.
    embeds
        Whether further samples are shown beside those of the capture.
    remarks
        Sentences on what a scene file cannot hold.
    """

    source: SceneSource | None = None
    count: int = 0
    embeds: bool = False
    remarks: tuple[str, ...] = ()

    @staticmethod
    def of(found: ResolvedTarget, count: int, *, ready: bool) -> SceneOrigin:
        """Return the origin of a resolved target.

        Parameters
        ----------
        count
            Number of samples that the source holds.
        ready
            Whether the target's capture is shown, not a new one of its model.
        """
        options, model = found.options, found.model
        if model is not None and not has_prefix(model):
            model = str(user_path(model).absolute())
        capture = str(found.capture.absolute()) if ready and found.capture is not None else None
        source = SceneSource(
            capture=capture,
            model=model,
            input=_absolute(options.inputs),
            choices=_absolute(found.choices),
            preprocess=options.preprocess,
            classes=None if options.classes is None else str(options.classes.absolute()),
            weights=_weights(options.weights),
            architecture=None if options.architecture is None else str(user_path(options.architecture).absolute()),
            against=_against(found.against),
        )
        return SceneOrigin(source, count, found.spec.embeds, () if model is None else _remarks(options))

    def showing(self, samples: Sequence[Sample], shown: int, against: int | None) -> Reopened:
        """Return how a scene file shows samples of a session again.

        Parameters
        ----------
        shown, against
            Positions in `samples`; `against` is the sample that is subtracted.
        """
        source = self.source
        if source is None:
            return Reopened(None, remarks=(LIVE,))
        positions = [shown] if against is None else [shown, against]
        chosen = [samples[position] for position in positions]
        indices = positions if source.capture is None else [self.count if s.index is None else s.index for s in chosen]
        if all(index < self.count for index in indices) and (source.capture is not None or not is_temporary(source)):
            kept = _without_temporary(source)
            other = indices[1] if len(indices) > 1 else None
            return Reopened(kept.model_copy(update={"sample": indices[0]}), other, remarks=self.remarks)
        return self._again(source, chosen)

    def _again(self, source: SceneSource, chosen: Sequence[Sample]) -> Reopened:
        """Return how samples that the source does not hold itself are shown again: the model runs on them."""
        kept = _without_temporary(source)
        names = [one.source for one in chosen if one.source is not None and not is_unfinished(one.source)]
        if len(names) < len(chosen) or source.model is None:
            name = printable(chosen[0].name, 60)
            remark = f"No file that stays holds the sample {name}; give it again with --input."
            return Reopened(kept, same=False, remarks=(*self.remarks, remark))
        inputs = _absolute(names)
        if self.embeds and source.capture is not None:
            return Reopened(kept.model_copy(update={"beside": inputs[:1], "sample": 0}), remarks=self.remarks)
        others = tuple(name for name in (*_several(kept.input), *_several(kept.choices)) if name not in inputs)
        again = kept.model_copy(update={"capture": None, "input": inputs, "choices": others, "sample": 0})
        return Reopened(again, 1 if len(inputs) > 1 else None, remarks=self.remarks)


NO_ORIGIN = SceneOrigin()
"""The origin of a live model."""


def is_temporary(source: SceneSource) -> bool:
    """Whether an input of a source is a file of a session, which is removed at its end."""
    return any(is_unfinished(name) for name in (*_several(source.input), *_several(source.choices)))


def _without_temporary(source: SceneSource) -> SceneSource:
    return source.model_copy(update={"input": (), "choices": ()}) if is_temporary(source) else source


def _several(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


def _absolute(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(in_folder(Path.cwd(), name) for name in names)


def _against(name: str | None) -> str | None:
    return name if name is None or has_prefix(name) else str(user_path(name).absolute())


def _weights(weights: str | None) -> str | None:
    if weights is None or weights in WEIGHTS:
        return weights
    return str(user_path(weights).absolute())


def _remarks(options: ModelOptions) -> tuple[str, ...]:
    again = [*(["--trust"] if options.trust else []), *(f"--custom {name}" for name in options.custom)]
    return (
        *((f"Give these options again: {' '.join(again)}.",) if again else ()),
        *((_RANDOM_WEIGHTS,) if options.weights == "none" else ()),
    )
