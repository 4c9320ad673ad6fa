"""What every answer tells the browser to refuse: scripts, frames and connections that are not this page's. Pure."""

import base64
import hashlib
import re
from typing import Final

_INLINE: Final = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)
_UNUSED: Final = ("camera", "geolocation", "microphone", "payment", "usb")


def policy(index_html: str) -> str:
    """The Content-Security-Policy of the pages: all from this host, and of inline scripts only those of `index_html`.

    Styles may be inline, for charts and tables set theirs so; their text cannot run.
    """
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in _INLINE.findall(index_html))
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' {hashes}".rstrip(),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'self'",
        )
    )


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def security_headers(csp: str) -> list[tuple[bytes, bytes]]:
    """Names in lower case. That a browser shall come by TLS only is for the TLS front to say."""
    told = {
        "content-security-policy": csp,
        "x-content-type-options": "nosniff",
        "x-frame-options": "SAMEORIGIN",
        "referrer-policy": "same-origin",  # the address holds what a person chose
        "permissions-policy": ", ".join(f"{feature}=()" for feature in _UNUSED),
        "cross-origin-opener-policy": "same-origin",
    }
    return [(name.encode(), value.encode()) for name, value in told.items()]
