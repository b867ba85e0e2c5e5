"""Base class of the page's panels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from nnviz3d.apps.web.page_context import PageContext

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

State = TypeVar("State", bound="DataclassInstance")


class PagePanel(ABC, Generic[State]):
    """One section of the page: it shows a part of the session, and lets the user change it.

    A panel is made before the page is built. Its state is a frozen dataclass: widgets read each field by its name, so
    field names are unique among all panels.

    Parameters
    ----------
    page
        The session and the functions of the page.
    state
        The state at first.

    Attributes
    ----------
    page
        As above.
    state
        The state that the page shows.
    area
        Where the panel stands: in the heading, in the bar below it, in the drawer at the left, or in the footer below the
        picture.
    """

    area: ClassVar[Literal["heading", "bar", "drawer", "footer"]] = "drawer"

    def __init__(self, page: PageContext, state: State) -> None:
        self.page = page
        self.state = state
        self.show(state)

    @abstractmethod
    def build(self) -> None:
        """Make the widgets, inside trame's current container; none if the session has nothing for this panel."""

    @abstractmethod
    def synchronize(self) -> None:
        """Show the session as it is; called after each change of the session."""

    def tick(self) -> None:
        """Show a new time of the session's clock; called for each frame while the scene plays."""

    @property
    def keys(self) -> Mapping[str, Callable[[], None]]:
        """Actions of this panel by the names that ``static/keys.js`` gives to keys."""
        return {}

    def show(self, state: State) -> None:
        """Let all browsers show a state."""
        self.state = state
        self.page.show({field.name: getattr(state, field.name) for field in fields(state)})


AnyPanel = PagePanel[Any]
