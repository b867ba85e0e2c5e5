"""Options of the command `capture` for all capabilities. Only that command imports them, since they take time."""

from __future__ import annotations

from dataclasses import field, fields, make_dataclass
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_type_hints

from cyclopts import Group, Parameter

from nnviz3d.data.capabilities import CAPABILITIES, uses_dataset
from nnviz3d.errors import UserError
from nnviz3d.options import given

if TYPE_CHECKING:
    from nnviz3d.data.request import Insights

_INSIGHT = Group("Insight", sort_key=3)
_Base = TypeVar("_Base")


def _annotated(hint: Any, name: str) -> Any:
    """Return the type of a capability's option, annotated for the command line."""
    kind, words = get_args(hint)
    converter = given if NoneType in get_args(kind) else None
    option = f"--{name.removesuffix('_').replace('_', '-')}"
    return Annotated[kind, Parameter(option, help=words, negative=(), consume_multiple=False, converter=converter)]


def _with_options_of_capabilities(base: type[_Base]) -> type[_Base]:
    """Return a dataclass with the options of all capabilities as its fields."""
    found: list[tuple[str, Any, Any]] = []
    for capability in CAPABILITIES:
        hints = get_type_hints(capability.options, include_extras=True)
        found += [(one.name, _annotated(hints[one.name], one.name), one) for one in fields(capability.options)]
    listed = [(name, hint, field(default=one.default)) for name, hint, one in found]
    of_base = {"__doc__": base.__doc__, "__module__": base.__module__}
    return make_dataclass(base.__name__, listed, bases=(base,), namespace=of_base, frozen=True)


@Parameter(name="*", group=_INSIGHT)
@_with_options_of_capabilities
class CapabilityOptions:
    """Options for what is captured beyond the forward pass. Lists are separated by commas, or the option is repeated."""

    def wanted(self) -> Insights:
        """Return the request that the options make.

        Raises
        ------
        UserError
            If an option has a wrong value, or no effect.
        """
        from nnviz3d.data.request import Insights

        options = [
            capability.options(**{one.name: getattr(self, one.name) for one in fields(capability.options)})
            for capability in CAPABILITIES
        ]
        insights = Insights(**{name: value for one in options for name, value in one.request_fields().items()})
        if insights.dataset and not uses_dataset(insights):
            listed = " or ".join(filter(None, (capability.dataset_option for capability in CAPABILITIES)))
            raise UserError(f"--dataset has no effect by itself; say what it is for with {listed}.")
        for one in options:
            one.check(insights)
        return insights


NO_CAPABILITY_OPTIONS = CapabilityOptions()
