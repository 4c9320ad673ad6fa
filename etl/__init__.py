"""Sales in, snapshot out."""
