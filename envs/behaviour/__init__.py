"""Models of choices: what they are, how they are fitted to trials, simulated and recovered; whoever made the trials.

Tasks name the models of their choices (`Task.models`); `prefrontal fit` and the tasks' own analyses fit them.
"""
