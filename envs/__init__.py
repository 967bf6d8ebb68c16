"""The tasks. Importing this package registers each of them with Gymnasium."""

from .registry import register_all

register_all()
