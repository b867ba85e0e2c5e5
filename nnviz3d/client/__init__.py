"""The WebGL2 client of draw lists: its scripts and shaders, and the encoding of draw lists for it."""
