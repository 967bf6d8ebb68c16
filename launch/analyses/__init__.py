"""Analyses of recorded activity: what units code, what can be read out of a population, how it moves."""
