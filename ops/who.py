"""Who is at work, and from where, in one line for the record. Pure."""

from collections.abc import Mapping


def who(environ: Mapping[str, str], user: str, host: str) -> str:
    """`user@host`, or the workflow run where GitHub Actions is at work."""
    if environ.get("GITHUB_ACTIONS") != "true":
        return f"{user}@{host}"
    repository, run = environ.get("GITHUB_REPOSITORY", "?"), environ.get("GITHUB_RUN_ID", "?")
    return f"{environ.get('GITHUB_ACTOR', '?')} by GitHub Actions, {repository} run {run}"
