"""What runs: the capture process's other end, the window, the browser and the film."""
