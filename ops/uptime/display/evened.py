"""Text filled up to an even size, for files that are committed again and again. Pure.

Git compares the versions of a file with those that are nearest in size. Where most have the same size, these are the
ones before and after, which differ in a few figures: that takes an eighth less than versions of every size.
"""

STEP_BYTES = 128


def evened(text: str) -> str:
    """The text with spaces on its last line, so that its size is a multiple of 128 bytes."""
    missing = -len(text.encode()) % STEP_BYTES
    return text.removesuffix("\n") + " " * missing + "\n"
