"""Plans of films: camera and scene time over the film; `nnviz3d.scene.tours.make_tour` makes them."""
