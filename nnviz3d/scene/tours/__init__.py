"""Plans of films: where the camera is when, and what lights up; `nnviz3d.scene.tour` makes them."""
