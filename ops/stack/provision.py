"""`fab provision`: ask what is there, show what would be done, do just that, and say how it ended."""

from contextlib import nullcontext
from dataclasses import dataclass

from etl.errors import ExitCode, StackError
from ops.monitoring import METRIC_FILTERS
from ops.settings import Settings
from ops.stack import driver, names, outputs, preflight
from ops.stack.changes import refusal, text
from ops.stack.desk import ProvisionDesk
from ops.stack.driver import ChangeSet, Ended, Hands, Stack, Wanted
from ops.stack.events import first_failure
from ops.stack.leftovers import State, made, state
from ops.stack.outputs import Outputs
from ops.stack.preflight import Facts
from ops.stack.prices import Amounts, Estimate, estimate, price_list

AMI_OUTPUT = "AmiId"
ALARM = "Type: AWS::CloudWatch::Alarm"
AGENT_METRICS = 3  # memory, swap and disk in use
YES = ("y", "yes")


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person asked for. `yes`: nothing is asked; `allow_replace`: instance and bucket may be taken away."""

    plan: bool = False
    yes: bool = False
    refresh_ami: bool = False
    allow_replace: bool = False


def provision(desk: ProvisionDesk, choice: Choice) -> ExitCode:
    """Bring the stack to what the settings say, and then its host.

    GOOD where all is as it should be, CHANGES_PENDING of a plan that would change something, CHECK_FAILED where it was
    refused or declined. Raises StackError where it could not be done.
    """
    hands = hands_of(desk)
    who = preflight.who(desk.clients)
    desk.tell(f"account   {who.account}\ncaller    {who.arn}\nregion    {who.region}")
    if wrong := preflight.wrong_account(who, desk.settings.stack.expected_account_id):
        desk.tell(f"refused: {wrong}")
        return ExitCode.CHECK_FAILED
    stack = driver.look(hands, desk.settings.stack.name)
    desk.tell(f"stack     {desk.settings.stack.name} ({stack.status if stack else 'not there yet'})")
    facts = preflight.gather(desk.clients, who, desk.settings, frozenset(stack.resources if stack else ()))
    if not _fit(desk, facts):
        return ExitCode.CHECK_FAILED
    return _Run(desk, hands, choice, facts).from_what_is_there(stack)


def hands_of(desk: ProvisionDesk) -> Hands:
    """The desk's hands on CloudFormation."""
    return Hands(desk.clients.cloudformation, desk.clock, desk.sleep, desk.stream)


def _fit(desk: ProvisionDesk, facts: Facts) -> bool:
    judged = preflight.judge(facts, desk.settings, _own_address(desk))
    for note in judged.notes:
        desk.tell(f"note: {note}")
    for problem in judged.problems:
        desk.tell(f"refused: {problem}")
    return not judged.problems


def _own_address(desk: ProvisionDesk) -> str:
    """Our address, "" where it is not needed or nobody tells it: it is only offered."""
    if desk.own_address is None or not preflight.no_door_is_set(desk.settings.stack):
        return ""
    try:
        return desk.own_address()
    except StackError:
        return ""


def costs(settings: Settings, template: str, region: str) -> Estimate:
    """What a month of this template will cost."""
    metrics = AGENT_METRICS + len(METRIC_FILTERS)
    amounts = Amounts(settings.stack.instance_type, settings.stack.disk_gb, template.count(ALARM), metrics)
    return estimate(price_list(), region, amounts)


@dataclass(frozen=True, slots=True)
class _Run:
    desk: ProvisionDesk
    hands: Hands
    choice: Choice
    facts: Facts

    def from_what_is_there(self, stack: Stack | None) -> ExitCode:
        """Decide by the stack's state."""
        found: State = state(stack.status if stack else "")
        if stack is None or found in ("absent", "planned"):
            return self._create(stack)
        if found == "live":
            return self._update(stack)
        if found == "busy":
            return self._refuse(
                f"another operation is running: {stack.name} is {stack.status}", "try again when it is over"
            )
        if found == "stuck":
            return self._refuse(
                f"{stack.name} is {stack.status}, from which only a person gets it out",
                f"`aws cloudformation continue-update-rollback --stack-name {stack.name}`, then again",
            )
        return self._clear(stack, harmless=found == "failed")

    def _refuse(self, seen: str, to_do: str) -> ExitCode:
        self.desk.tell(f"refused: {seen}\n  to do:    {to_do}")
        return ExitCode.CHECK_FAILED

    # --- what failed before

    def _clear(self, stack: Stack, *, harmless: bool) -> ExitCode:
        """Remove what an earlier creation or deletion has left, and begin anew."""
        what = f"{stack.name} is {stack.status}, left by what failed before"
        if self.choice.plan:
            self.desk.tell(f"{what}: it would be removed, and all made anew")
            return ExitCode.CHANGES_PENDING
        if not harmless and not self._agreed(f"{what}. Remove what is left of it? [y/N] "):
            return ExitCode.CHECK_FAILED
        self.desk.tell(f"{what}: it is removed first")
        self._remove(stack)
        return self._create(None)

    def _remove(self, stack: Stack) -> None:
        if stack.protected:
            driver.protect(self.hands, stack.id, on=False)
        ended = driver.delete(self.hands, stack.id, stack.resources)
        self._log("remove", stack.id, ended.status)
        if ended.status != "DELETE_COMPLETE":
            raise failure(
                self.hands,
                ended,
                f"what is left of {stack.name} cannot be removed",
                "remove that resource by hand, then again",
            )

    # --- making and changing

    def _create(self, planned: Stack | None) -> ExitCode:
        image = preflight.ami(self.desk.clients, self.desk.settings.stack.ami_parameter)
        wanted = self._wanted(image, self.facts.zones[0], create=True)
        change_set = driver.planned(self.hands, wanted, planned) if planned else None
        if planned and not change_set:
            driver.drop(self.hands, planned.id)
        return self._go_on(wanted, change_set or self._made(wanted), None)

    def _update(self, stack: Stack) -> ExitCode:
        known = "" if self.choice.refresh_ami else stack.outputs.get(AMI_OUTPUT, "")
        image = known or preflight.ami(self.desk.clients, self.desk.settings.stack.ami_parameter)
        wanted = self._wanted(image, driver.zone(self.hands, stack.id), create=False)
        change_set = driver.planned(self.hands, wanted, stack)
        if not change_set:
            driver.discard_others(self.hands, stack)
        return self._go_on(wanted, change_set or self._made(wanted), stack)

    def _made(self, wanted: Wanted) -> ChangeSet | None:
        return driver.make(self.hands, wanted, self.desk.now())

    def _wanted(self, image: str, zone: str, *, create: bool) -> Wanted:
        desk = self.desk
        template = desk.template(preflight.inputs(self.facts, desk.settings, image, zone))
        desk.tell(f"image     {image}")
        desk.tell(f"cost      {costs(desk.settings, template, self.facts.who.region).text}\n")
        return Wanted(desk.settings.stack.name, template, names.tags(desk.settings), create, self.facts.adopt)

    def _go_on(self, wanted: Wanted, change_set: ChangeSet | None, stack: Stack | None) -> ExitCode:
        if change_set is None:
            return self._nothing_changes(wanted, stack)
        self.desk.tell(f"{text(change_set.rows)}\nchange set {change_set.arn}")
        refused = () if self.choice.allow_replace else refusal(change_set.rows)
        for line in refused:
            self.desk.tell(f"not without --allow-replace: {line}")
        if self.choice.plan:
            self.desk.tell("nothing was done; `fab provision` runs this very change set")
            return ExitCode.CHANGES_PENDING
        if refused or not self._agreed("Run it? [y/N] "):
            driver.discard(self.hands, change_set, create=wanted.create)
            self.desk.tell("nothing was done, and the change set is removed")
            return ExitCode.CHECK_FAILED
        return self._execute(wanted, change_set)

    def _agreed(self, question: str) -> bool:
        return self.choice.yes or self.desk.ask(question).strip().lower() in YES

    def _nothing_changes(self, wanted: Wanted, stack: Stack | None) -> ExitCode:
        if stack is None:
            raise StackError(
                "the template makes nothing", expected="resources", to_do="correct templates/stack.yaml.j2"
            )
        self.desk.tell("no changes")
        if self.desk.protects and not driver.guarded(self.hands, stack):
            if self.choice.plan:
                self.desk.tell("but its termination protection and its policy would be set again")
                return ExitCode.CHANGES_PENDING
            driver.guard(self.hands, stack.id)
            self.desk.tell("its termination protection and its policy are set again")
        return ExitCode.GOOD if self.choice.plan else self._finish(wanted.name)

    def _execute(self, wanted: Wanted, change_set: ChangeSet) -> ExitCode:
        open_for_it = self.choice.allow_replace and not wanted.create
        with driver.replacing(self.hands, change_set.stack_id) if open_for_it else nullcontext():
            ended = driver.execute(self.hands, change_set)
        self._log("create" if wanted.create else "change", change_set.stack_id, ended.status)
        if not made(ended.status):
            raise self._failed(wanted, ended)
        if self.desk.protects:
            driver.guard(self.hands, change_set.stack_id)
        return self._finish(wanted.name)

    def _failed(self, wanted: Wanted, ended: Ended) -> StackError:
        if not wanted.create:
            return failure(
                self.hands,
                ended,
                f"{wanted.name} could not be changed",
                "what was there before is back; correct it, then again",
            )
        gone = (
            "nothing of it is left"
            if ended.status == "DELETE_COMPLETE"
            else f"it is {ended.status} and cleared by the next run"
        )
        return failure(self.hands, ended, f"{wanted.name} could not be made", f"{gone}; correct it, then again")

    # --- afterwards

    def _finish(self, name: str) -> ExitCode:
        """Keep what the stack tells, and bring its host to what it should be."""
        stack = driver.look(self.hands, name)
        if stack is None:
            raise StackError(f"{name} is gone", expected="the stack that was just there", to_do="`fab provision` again")
        who = self.facts.who
        told = Outputs(stack.name, stack.id, who.account, who.region, stack.outputs)
        outputs.keep(told, self.desk.outputs_path, self.desk.now())
        for key, value in sorted(told.values.items()):
            self.desk.tell(f"  {key:<16} {value}")
        return self.desk.after(told)

    def _log(self, what: str, stack_id: str, status: str) -> None:
        outputs.log(
            self.desk.outputs_path, self.desk.now(), what=what, stack=stack_id, by=self.facts.who.arn, ended=status
        )


def failure(hands: Hands, ended: Ended, what: str, to_do: str) -> StackError:
    """What failed first and why, not what was given up for it."""
    first = first_failure(ended.events)
    found = driver.findings(hands, StackName=ended.stack_id) if first is None or first.of_stack else ""
    said = f"{first.logical_id} ({first.type}): {first.reason}" if first else f"it ended as {ended.status}"
    return StackError(f"{what}: {found or said}", expected="each resource to be done", to_do=to_do)
