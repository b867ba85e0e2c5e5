"""Stories: the way of a sample through a network in a few stops with captions; `nnviz3d.scene.story.tell` tells them."""
