"""One module for each capability: its record, its arrays in a capture, and how they are read and written."""
