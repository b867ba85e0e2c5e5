"""Looking from Python: the commands in a process of their own, and a live model that stays where it is."""
