"""What travels between actors and learner: the trajectory, its bounded hand-off, the replay buffer."""
