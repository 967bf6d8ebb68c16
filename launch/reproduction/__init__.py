"""A paper's figures from one command: what is played, side by side, and the page that comes of it."""
