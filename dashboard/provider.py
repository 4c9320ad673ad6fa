"""The sign-in provider of our settings in a file, for Streamlit reads it from there and from nowhere else."""

import os
import tempfile
from pathlib import Path

from dashboard.sign_in import secrets_toml
from ops.settings import SignInSettings


def secrets_file(rules: SignInSettings) -> Path:
    """A new file, for this user only. Raises SettingsError where a secret is missing.

    Streamlit reads it when the first visitor comes, so it stays as long as the process: under systemd /tmp is its own.
    """
    text = secrets_toml(rules)
    place = Path(tempfile.mkdtemp(prefix="kpi-ops-"), "secrets.toml")
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return place
