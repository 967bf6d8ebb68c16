"""What a run is and leaves behind: its folder, training loop, curves, evaluation, film, and the way to a URL."""
