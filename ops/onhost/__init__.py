"""What runs on the host itself, as root: standard library only, Python 3.11 or newer, nothing of the other rooms."""
