"""The picture as pure values: scene files, layout, colours, camera, timeline, and the views that make draw lists."""
