"""The record, kept on a branch: our lines put behind those of everybody else, committed and pushed.

What is a person's is never touched: only record files and what is generated from them are written and staged, history
is only added to, and where the working tree holds other work nothing is done at all.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from etl.errors import KpiOpsError
from ops.uptime.storage.git import Git, GitFailed, Run
from ops.uptime.storage.merge import take_over

TRIES = 5
SHORTEST_WAIT_S, LONGEST_WAIT_S = 1.0, 8.0
RECORD = ".jsonl"  # only ever added to
GENERATED = frozenset({".svg", ".html", ".json"})  # written anew from the record; maintenance.toml is a person's
SUBJECT_LENGTH = 72
SHOWN = 3  # paths that a message names


class Refused(KpiOpsError):
    """Something of a person's is in the way, and is left alone."""


@dataclass(frozen=True, slots=True)
class Ours:
    """What may be written and staged, as paths from the top of the repository."""

    directory: PurePosixPath
    report: PurePosixPath

    def holds(self, name: str) -> bool:
        """Whether a path is one of the record's or of what is generated."""
        return name == str(self.report) or self.records(name) or self._generates(name)

    def records(self, name: str) -> bool:
        """Whether a path is a file of lines that are never lost."""
        return self._is_in(name) and name.endswith(RECORD)

    def _generates(self, name: str) -> bool:
        return self._is_in(name) and PurePosixPath(name).suffix in GENERATED

    def _is_in(self, name: str) -> bool:
        return self.directory in PurePosixPath(name).parents

    @property
    def places(self) -> tuple[str, str]:
        """As git is told to look there."""
        return str(self.directory), str(self.report)


@dataclass(frozen=True, slots=True)
class Pushed:
    """What came of it: so many new lines, at which try, in which commit."""

    lines: int
    tries: int
    commit: str

    @property
    def line(self) -> str:
        """As a person is told."""
        again = f", at try {self.tries}" if self.tries > 1 else ""
        return f"pushed {self.commit[:7]} with {self.lines} new line{'s' * (self.lines != 1)}{again}"


@dataclass(frozen=True, slots=True)
class Branch:
    """The branch that is checked out, here and at the remote."""

    name: str

    @property
    def here(self) -> str:
        """Its full name."""
        return f"refs/heads/{self.name}"

    @property
    def known(self) -> str:
        """What is known of it at the remote."""
        return f"refs/remotes/origin/{self.name}"


def push(
    git: Git,
    ours: Ours,
    *,
    rewrite: Callable[[], object],
    message: str,
    sleep: Callable[[float], None],
    random: Callable[[], float],
    tries: int = TRIES,
) -> Pushed:
    """Put what was recorded here on the branch at `origin`, with what others recorded meanwhile.

    `rewrite` writes report and pictures anew from the files in the working tree; `random` is from [0, 1). Raises
    Refused where a person's work is in the way or nothing is new, GitFailed where the remote cannot be had; the lines
    are then still in the working tree.
    """
    branch = _branch(git)
    sent: Pushed | None = None
    failure: GitFailed | None = None
    for number in range(1, tries + 1):
        if number > 1:
            sleep(SHORTEST_WAIT_S + (LONGEST_WAIT_S - SHORTEST_WAIT_S) * random())
        try:
            tip = _caught_up(git, ours, branch)
            new = _united(git, ours, tip)
            if not new and sent:  # the answer was lost, not the push
                return sent
            if not new:
                raise _nothing_new(ours)
            rewrite()
            sent = Pushed(new, number, _committed(git, ours, tip, message))
            _sent(git, branch, tip, sent.commit)
        except GitFailed as error:
            failure = error
        else:
            return sent
    raise _given_up(tries, failure) from failure


def _given_up(tries: int, failure: GitFailed | None) -> GitFailed:
    return GitFailed(
        f"not pushed in {tries} tries; the last one: {failure.seen if failure else 'none'}",
        expected="a remote that answers and takes what is pushed",
        to_do="mend what git says; the samples stay in the working tree and go with the next push",
    )


def _nothing_new(ours: Ours) -> Refused:
    return Refused(
        f"there is nothing to push: every line in {ours.directory} is on the branch already",
        expected="samples that were recorded just now",
        to_do="run `python -m ops.uptime check` first, and look at what it says",
    )


# --- where we stand


def clone_at(directory: Path, report: Path, run: Run) -> tuple[Git, Ours]:
    """The repository in which the record lies, and what of it is ours. Raises Refused where it lies in none."""
    directory, report = directory.resolve(), report.resolve()
    top = Git(directory.parent, run).asked("rev-parse", "--show-toplevel")
    place = Path(top.out.decode("utf-8", "surrogateescape").rstrip("\n"))
    if top.status != 0 or place not in directory.parents or place not in report.parents:
        raise Refused(
            f"{directory} and {report} are not kept in one git repository: {top.said or place}",
            expected="a directory in a clone, and a report in the same one",
            to_do="name them in settings.toml [uptime]; without git see publish there",
        )
    ours = Ours(PurePosixPath(directory.relative_to(place)), PurePosixPath(report.relative_to(place)))
    return Git(place, run), ours


def _branch(git: Git) -> Branch:
    named = git.asked("symbolic-ref", "--quiet", "--short", "HEAD")
    if named.status != 0:
        raise Refused(
            f"no branch is checked out in {git.repository}{f': {named.said}' if named.said else ''}",
            expected="a clone with the branch that the record is kept on",
            to_do="`git switch` to that branch, then push again; the samples stay where they are",
        )
    return Branch(named.out.decode().strip())


def _caught_up(git: Git, ours: Ours, branch: Branch) -> str:
    """Fetch, and stand on what the remote has; gives its commit. Files of ours are left as they are."""
    before = git.asked("rev-parse", "--quiet", "--verify", branch.known).out.decode().strip()
    git("fetch", "--quiet", "--no-tags", "origin", f"+{branch.here}:{branch.known}")
    tip, head = git.line("rev-parse", branch.known), git.line("rev-parse", "HEAD")
    _refuse_other_work(git, ours)
    if head != tip:
        _refuse_own_commits(git, branch, [tip, *([before] if before else [])])
        _index_as(git, ours, tip)
        _move(git, tip)
    return tip


def _refuse_other_work(git: Git, ours: Ours) -> None:
    changed = [
        name for name in _names(git("diff", "--name-only", "--no-renames", "-z", "HEAD")) if not ours.holds(name)
    ]
    if changed:
        raise Refused(
            f"the working tree has other changes: {_some(changed)}",
            expected="a clone in which nobody works, or one where all work is committed and pushed",
            to_do="commit and push them or put them away, then push again; the samples stay where they are",
        )


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = len(ordered) - SHOWN
    return ", ".join(ordered[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _refuse_own_commits(git: Git, branch: Branch, known: Sequence[str]) -> None:
    count = git.line("rev-list", "--count", "HEAD", *(f"^{commit}" for commit in known))
    if count != "0":
        raise Refused(
            f"{branch.name} has commits of its own that origin has not: {count}",
            expected="a clone in which all work is pushed",
            to_do="`git pull` and `git push` them, then push again; the samples stay where they are",
        )


def _index_as(git: Git, ours: Ours, tip: str) -> None:
    """For git our files are as at the remote, whatever they hold: so it moves there without touching them."""
    held = (entry.split(b"\t", 1) for entry in _parts(git("ls-tree", "-r", "-z", "--full-tree", tip, *ours.places)))
    there = {name.decode("utf-8", "surrogateescape"): head.split() for head, name in held}
    gone = [name for name in _names(git("ls-files", "-z", *ours.places)) if ours.holds(name) and name not in there]
    lines = [f"0 {'0' * 40}\t{name}" for name in gone]
    lines += [f"{mode.decode()} {sha.decode()}\t{name}" for name, (mode, _, sha) in there.items() if ours.holds(name)]
    git("update-index", "-z", "--index-info", stdin=_fed(lines))


def _move(git: Git, tip: str) -> None:
    try:
        git("reset", "--quiet", "--keep", tip)  # which stops at a file that is changed, or in the way
    except GitFailed as error:
        raise Refused(
            f"what origin has cannot be taken over: {error.seen}",
            expected="a clone in which nobody works",
            to_do="`git pull`, then push again; the samples stay where they are",
        ) from error


# --- what is added


def _united(git: Git, ours: Ours, tip: str) -> int:
    """Give every file of the record here the lines of both sides; gives how many the remote lacks."""
    changed = _names(git("diff", "--name-only", "--no-renames", "-z", tip, "--", *ours.places))
    untracked = _names(git("ls-files", "--others", "-z", *ours.places))
    there = {*_names(git("ls-tree", "-r", "-z", "--name-only", "--full-tree", tip, *ours.places))}
    records = [name for name in sorted({*changed, *untracked}) if ours.records(name)]
    return sum(_united_file(git, name, f"{tip}:{name}" if name in there else None) for name in records)


def _united_file(git: Git, name: str, blob: str | None) -> int:
    """What cannot be read at the remote must not be taken for empty: it would be written over."""
    theirs = git("cat-file", "blob", blob) if blob else b""
    return take_over(git.repository / name, theirs)


def _committed(git: Git, ours: Ours, tip: str, message: str) -> str:
    """A commit on top of `tip` with our files as they are here; on no branch yet."""
    names = _names(git("ls-files", "--cached", "--others", "-z", *ours.places))
    git("update-index", "--add", "--remove", "-z", "--stdin", stdin=_fed(name for name in names if ours.holds(name)))
    tree = git.line("write-tree")
    strays = [name for name in _names(git("diff-tree", "-r", "-z", "--name-only", tip, tree)) if not ours.holds(name)]
    if strays:  # somebody staged them this very moment
        raise Refused(
            f"other changes would go along: {_some(strays)}",
            expected="a clone in which nobody works",
            to_do="commit and push them, then push again; the samples stay where they are",
        )
    return git.line("commit-tree", tree, "-p", tip, "-m", message)


def _sent(git: Git, branch: Branch, tip: str, commit: str) -> None:
    git("push", "--quiet", "origin", f"{commit}:{branch.here}")
    git("update-ref", branch.here, commit, tip)


def _parts(out: bytes) -> list[bytes]:
    return [part for part in out.split(b"\0") if part]


def _names(out: bytes) -> list[str]:
    return [part.decode("utf-8", "surrogateescape") for part in _parts(out)]


def _fed(lines: Iterable[str]) -> bytes:
    return b"".join(line.encode("utf-8", "surrogateescape") + b"\0" for line in lines)


# --- what is said


def message_of(verdicts: Mapping[str, str]) -> str:
    """The message of a commit by target and verdict: `uptime: dashboard up, api down`, without starting other jobs."""
    subject = "uptime: " + ", ".join(f"{name} {verdict}" for name, verdict in verdicts.items())
    if len(subject) > SUBJECT_LENGTH:
        counted = {verdict: list(verdicts.values()).count(verdict) for verdict in dict.fromkeys(verdicts.values())}
        subject = "uptime: " + ", ".join(f"{count} {verdict}" for verdict, count in counted.items())
    return f"{subject}\n\n[skip ci]"
