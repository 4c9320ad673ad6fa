"""`fab` looks for this name; the tasks are in tasks.py."""

from tasks import ns

__all__ = ["ns"]
