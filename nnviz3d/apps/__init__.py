"""Applications: window, page, film, picture and inspection, and requests to the capture process."""
