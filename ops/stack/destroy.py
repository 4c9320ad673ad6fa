"""`fab destroy`: take the stack away, after its name was typed; the bucket and the log stay."""

from etl.errors import ExitCode, StackError
from ops.stack import driver, outputs, preflight
from ops.stack.desk import ProvisionDesk
from ops.stack.driver import Ended, Hands, Stack
from ops.stack.leftovers import state
from ops.stack.provision import failure, hands_of


def destroy(desk: ProvisionDesk, name: str = "") -> ExitCode:
    """Delete the stack. `name`: the stack's, where it was given already; else it is asked for.

    CHECK_FAILED where the name is another, and while something goes on. Raises StackError where it could not be done.
    """
    hands = hands_of(desk)
    who = preflight.who(desk.clients)
    if wrong := preflight.wrong_account(who, desk.settings.stack.expected_account_id):
        desk.tell(f"refused: {wrong}")
        return ExitCode.CHECK_FAILED
    stack = driver.look(hands, desk.settings.stack.name)
    if stack is None:
        desk.tell(f"there is no stack {desk.settings.stack.name} in account {who.account}, region {who.region}")
        return ExitCode.GOOD
    if state(stack.status) == "busy":
        desk.tell(f"refused: another operation is running: {stack.name} is {stack.status}")
        return ExitCode.CHECK_FAILED
    desk.tell(_announced(stack, who.account, who.region))
    if (name or desk.ask("Type the stack's name to delete it: ")).strip() != stack.name:
        desk.tell(f"nothing was done: {stack.name} was not typed{_protected(stack)}")
        return ExitCode.CHECK_FAILED
    ended = _deleted(desk, hands, stack)
    outputs.log(desk.outputs_path, desk.now(), what="destroy", stack=stack.id, by=who.arn, ended=ended.status)
    if ended.status != "DELETE_COMPLETE":
        raise failure(
            hands, ended, f"{stack.name} could not be deleted", "take away what it names, then `fab destroy` again"
        )
    outputs.forget(desk.outputs_path)
    desk.tell(_kept(desk, stack, ended))
    return ExitCode.GOOD


def _announced(stack: Stack, account: str, region: str) -> str:
    listed = "\n".join(f"  {logical:<22} {physical}" for logical, physical in sorted(stack.resources.items()))
    return (
        f"{stack.name} ({stack.status}) in account {account}, region {region}:\n{listed}\n"
        f"All of it is deleted but the bucket with what is in it, and what others may have come to use."
    )


def _protected(stack: Stack) -> str:
    return ", and its termination protection is on" if stack.protected else ""


def _deleted(desk: ProvisionDesk, hands: Hands, stack: Stack) -> Ended:
    """Delete it; where CloudFormation will not even begin, it is protected as it was."""
    if stack.protected and desk.protects:
        driver.protect(hands, stack.id, on=False)
    try:
        return driver.delete(hands, stack.id, stack.resources)
    except StackError:
        if stack.protected and desk.protects:
            _protect_again(hands, stack)
        raise


def _protect_again(hands: Hands, stack: Stack) -> None:
    still = driver.look(hands, stack.id)
    if still and state(still.status) != "busy":
        driver.protect(hands, stack.id, on=True)


def _kept(desk: ProvisionDesk, stack: Stack, ended: Ended) -> str:
    bucket = desk.settings.s3.bucket
    log = desk.outputs_path.with_name(outputs.LOG)
    skipped = {event.logical_id for event in ended.events if event.status == "DELETE_SKIPPED"} - {preflight.BUCKET}
    others = "".join(f"  {logical}, {stack.resources.get(logical, '')}\n" for logical in sorted(skipped))
    return (
        f"{stack.name} is deleted. What stays:\n"
        f"  the bucket {bucket} with all versions of what is in it; `fab provision` takes it over again\n{others}"
        f"  {log}, what was done to the stack and when\n"
        f"To delete the bucket too, for ever: empty it (S3 console, Empty: it takes the versions as well), "
        f"then `aws s3api delete-bucket --bucket {bucket}`"
    )
