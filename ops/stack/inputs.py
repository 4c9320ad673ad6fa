"""What the stack's template is made with: the settings, and what only the account can tell. Pure."""

from dataclasses import dataclass

from ops.settings import Settings


@dataclass(frozen=True, slots=True)
class Inputs:
    """`ami` is an id like ami-0123456789abcdef0, read once and then kept; `account` and `region` are the stack's own.

    `oidc_provider` is the ARN of the account's provider for GitHub where the stack did not make it, "" where it does.
    `zone` is the availability zone that the subnet lies in, "" where AWS may choose.
    """

    settings: Settings
    account: str
    region: str
    ami: str
    oidc_provider: str = ""
    partition: str = "aws"
    zone: str = ""


def unasked(settings: Settings) -> Inputs:
    """For a look at the template without an account: what only AWS can tell is made up."""
    return Inputs(settings, account="123456789012", region="us-east-1", ami="ami-00000000000000000")
