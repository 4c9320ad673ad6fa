"""What an installer's complaint means to a person. Pure."""

import re
from typing import Final

from ops.onhost.trouble import CouldNot, Unfit

LONGEST: Final = 600
NO_SPACE: Final = "No space left on the device"
AGAIN: Final = "deploy again; what serves was not touched"
_SECRET = re.compile(r"(://)[^/@\s]+@")
OTHER_FILE: Final = "a package is not the one that the lock names"
NO_WHEEL: Final = "a package has no wheel for this host"
NO_INDEX: Final = "the package index cannot be reached from the host"
_INDEX: Final = (
    "an index that answers: [host] package_index, or what pip is configured with there",
    "let the host out to it, or deploy with --offline and wheels",
)
OF_THE_RELEASE: Final = (OTHER_FILE, NO_WHEEL)  # its lock is wrong; all else is the host's trouble
# The first that fits: what the complaint holds, what was seen, what is expected, what to do.
_KINDS: Final = (
    (
        r"No space left|os error 28|Errno 28",
        "the disk is full",
        "room for an environment (about 900 MB for a first one)",
        "free some on the host, or enlarge its disk, then deploy again",
    ),
    (
        r"[Hh]ash(?:es)?[^.\n]*mismatch|DO NOT MATCH THE HASHES|Hash-checking|no hash|hash was not",
        OTHER_FILE,
        "files with the hashes of the lock",
        "do not install it: find out who changed it, or lock again with `make lock`",
    ),
    (
        # This and the next before wheels: who cannot reach the index finds none there either.
        r"name resolution|NewConnectionError|ConnectTimeout|dns error|[Cc]onnection refused|tcp connect error",
        NO_INDEX,
        *_INDEX,
    ),
    (
        r"certificate|CERTIFICATE|UnknownIssuer|invalid peer",
        "the package index shows a certificate that the host does not trust",
        "one that the host's system certificates know",
        "add its authority to the host (update-ca-certificates)",
    ),
    (
        (
            r"no usable wheels|no wheels? with|[Bb]uilding source distributions is disabled|no matching wheel"
            r"|no compatible|[Oo]nly source|No matching distribution|not found in the (?:package registry|provided)"
            r"|was not found|no version of|there are no versions|no solution found"
        ),
        NO_WHEEL,
        "a wheel of every package in the lock, for this Python and processor",
        "lock a version that has one; with --offline, fetch the wheels for the host's own Python and processor",
    ),
    (
        r"ensurepip is not|No module named '?(?:venv|ensurepip)",
        "this host's Python makes no venv",
        "the package python3-venv",
        "run `fab bootstrap`, which installs it",
    ),
    (
        r"[Tt]emporary failure|[Cc]onnect|[Nn]etwork|timed? out|[Ff]ailed to fetch|unreachable|5\d\d ",
        NO_INDEX,
        *_INDEX,
    ),
)


def trouble(program: str, said: str) -> CouldNot:
    """One reason, with the installer's own words behind it; passwords in addresses are left out."""
    words = _SECRET.sub(r"\1", said).strip()
    tail = " ".join(words[-LONGEST:].split())
    for pattern, seen, expected, to_do in _KINDS:
        if re.search(pattern, words):
            kind = Unfit if seen in OF_THE_RELEASE else CouldNot
            return kind(f"{seen} ({program}: {tail})", expected=expected, to_do=to_do)
    return CouldNot(f"{program} failed: {tail or 'it said nothing'}", expected="an environment", to_do=AGAIN)
