"""Stories: a few stops with captions from the input to the decision; `nnviz3d.scene.story.captions` makes them."""
