"""The learner: returns and losses as pure functions, the update, its Ray actor, checkpoints."""
