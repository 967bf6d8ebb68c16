"""What a person or a cluster starts: the verbs of the command line, the engines that run them, what they write."""
