"""Actors: workers that play environments with an agent, and the supervised pool of Ray processes that host them."""
