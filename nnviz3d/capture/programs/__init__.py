"""A model as a flat program: traced once, then run and differentiated."""
