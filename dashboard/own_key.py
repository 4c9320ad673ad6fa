"""What this process shows at its own pages when it checks itself, so that sign-in lets it in: known to nobody else."""

import secrets
from typing import Final

OWN_KEY: Final = secrets.token_urlsafe(32)
