"""Lines of the record from several places made one: nothing is lost, nothing stands twice. Pure."""


def united(theirs: bytes, ours: bytes) -> bytes:
    """What they hold, untouched, and behind it the whole lines of ours that it lacks, in our order."""
    new = missing(theirs, ours)
    if not new:
        return theirs
    torn = theirs != b"" and not theirs.endswith(b"\n")  # whoever died while writing must not take our line along
    return theirs + (b"\n" if torn else b"") + b"".join(line + b"\n" for line in new)


def missing(theirs: bytes, ours: bytes) -> list[bytes]:
    """The whole lines of ours that they lack, each once. What no line break ends was never wholly written."""
    whole, _, _ = ours.rpartition(b"\n")
    held = set(theirs.split(b"\n"))
    return [line for line in dict.fromkeys(whole.split(b"\n")) if line.strip() and line not in held]
