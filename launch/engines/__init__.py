"""What makes updates: the protocol, the engine of one process, the engine on Ray, and Ray's own session."""
