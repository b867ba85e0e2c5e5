"""Plans of films: where the camera is when, and what lights up; `nnviz3d.scene.tours.make_tour` makes them."""
