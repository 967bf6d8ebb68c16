"""Networks: encoders, recurrent cores and the agent that joins them with a policy and a value head."""
