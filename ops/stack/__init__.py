"""The stack in AWS: what it is made of, how it changes, and whether it is as it should be."""
