"""One module a verb of the console script: it reads its settings and calls what does the work."""
