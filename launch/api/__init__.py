"""What `import prefrontal` gives: the verbs of the command line as functions, runs as objects."""
