"""The tour of a session: stops, pauses, pictures of any shape, and what it leaves behind."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nnviz3d.apps.session import Session
from nnviz3d.errors import UserError
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Selection
from nnviz3d.scene.spec import default_scene
from nnviz3d.scene.story.captions import story_of
from tests.support.scenes import bundled_scene

ASPECT = 1.55


@pytest.fixture
def session(small_capture) -> Session:
    return Session(Scene.build(default_scene(), small_capture, aspect=ASPECT), SimpleNamespace())


def rest(session: Session) -> None:
    """Let time pass until nothing moves."""
    for _ in range(1000):
        if not session.moving:
            return
        session.advance(0.05)
    raise AssertionError("the tour never rests")


def test_tour_leads_stop_by_stop_and_ends_as_it_found_the_session(session):
    session.select(layer="conv", pick=CellPick("dense", (3,)))
    session.clock.seek(2.5)
    before, t, home = session.selection, session.clock.t, session.own_pose(ASPECT)
    tour = session.tour
    tour.start()
    line = session.scene.timeline
    assert session.clock.t == pytest.approx(line.forward[1] / line.ranks), "the sample is seen, and nothing more"
    assert not session.clock.playing
    seen = [tour.index]
    for _ in range(10_000):
        if not tour.playing:
            break
        session.advance(0.1)
        if tour.index != seen[-1]:
            seen.append(tour.index)
    assert seen == list(range(len(tour.stops)))
    assert session.clock.t == session.scene.duration
    assert session.own_pose(ASPECT) != home
    tour.end()
    assert (session.selection, session.clock.t) == (before, t)
    assert session.own_pose(ASPECT) == home
    assert not session.moving


def test_pause_rests_at_a_stop_and_going_on_from_the_last_begins_again(session):
    tour = session.tour
    tour.start()
    tour.toggle()
    rest(session)
    assert not session.advance(60.0)
    assert tour.index == 0
    tour.go(len(tour.stops) + 5)
    rest(session)
    assert tour.index == len(tour.stops) - 1
    tour.toggle()
    assert tour.playing
    assert tour.index == 0


def test_each_departure_is_counted_so_that_cameras_follow(session):
    tour = session.tour
    counts = [tour.departures]
    for action in (tour.start, lambda: tour.go(3), lambda: tour.go(2), tour.end):
        action()
        counts.append(tour.departures)
    assert counts == sorted(set(counts))
    tour.go(1)
    assert tour.departures == counts[-1], "a tour that does not lead goes nowhere"


def test_pictures_of_all_shapes_arrive_together(session):
    tour = session.tour
    tour.start()
    tour.toggle()
    rest(session)
    tour.go(4)
    start = {aspect: session.own_pose(aspect) for aspect in (0.6, ASPECT, 2.4)}
    session.advance(0.4)
    assert all(session.own_pose(aspect) != pose for aspect, pose in start.items())
    rest(session)
    ends = {aspect: session.own_pose(aspect) for aspect in start}
    session.advance(5.0)
    assert {aspect: session.own_pose(aspect) for aspect in start} == ends


def test_tour_stays_at_its_stop_and_tells_of_another_selected_sample(session):
    tour = session.tour
    tour.start()
    tour.go(3)
    text = tour.stop.text
    session.select(sample=1)
    session.own_pose(ASPECT)
    assert tour.index == 3
    assert tour.stop == story_of(session.scene, Selection(sample=1))[3]
    assert tour.stop.text != text


def test_scene_without_layers_ends_the_tour_and_starts_none(session):
    session.tour.start()
    session.show(bundled_scene("embedding"), Selection(), 0.0)
    session.own_pose(ASPECT)
    assert not session.tour.on
    with pytest.raises(UserError, match="shows no layers"):
        session.tour.start()


def test_blocks_show_the_activations_of_which_the_captions_tell(explained_capture):
    session = Session(Scene.build(default_scene(), explained_capture, aspect=ASPECT), SimpleNamespace())
    session.select(quantity="gradient", unfold="conv")
    session.tour.start()
    assert (session.selection.quantity, session.selection.unfold) == ("activation", None)
    session.tour.end()
    assert (session.selection.quantity, session.selection.unfold) == ("gradient", "conv")
