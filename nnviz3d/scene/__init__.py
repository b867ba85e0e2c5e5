"""What to draw, as pure values: specification, layout, colours, camera, timeline, and the views that make draw lists."""
