"""Notices about two models that are compared: what both give is printed once, everything else with its model's name."""

from __future__ import annotations

from collections.abc import Callable

from nnviz3d.data.counterpart import told_apart


class ComparedNotices:
    """The notices of the captures of two models, held back until both have run.

    Parameters
    ----------
    other
        The model with which the target is compared.
    """

    def __init__(self, other: str) -> None:
        self._other = other
        self._held: dict[str, list[str]] = {}

    def hear(self, model: str, text: str) -> None:
        """Hold a notice about a model back."""
        self._held.setdefault(model, []).append(text)

    def release(self, tell: Callable[[str], None]) -> None:
        """Tell the notices that are held back, in the order in which they came."""
        held, self._held = self._held, {}
        target = next((model for model in held if model != self._other), self._other)
        models = target, self._other
        names = dict(zip(models, told_apart(*models), strict=True))
        shared = set.intersection(*(set(held.get(model, ())) for model in models))
        told = [
            text if text in shared else f"{names[model]}: {text}" for model, texts in held.items() for text in texts
        ]
        for text in dict.fromkeys(told):
            tell(text)
