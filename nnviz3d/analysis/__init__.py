"""Works out what captured numbers say: figures and places, from NumPy arrays alone."""
