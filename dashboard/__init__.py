"""Snapshot in, pages out."""
