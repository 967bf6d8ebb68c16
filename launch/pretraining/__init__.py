"""The lessons that an encoder can be taught before an agent learns."""
