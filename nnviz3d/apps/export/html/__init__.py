"""Export of a scene as one HTML file that rotates, plays and picks without a server."""
