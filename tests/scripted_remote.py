"""A host that answers from a script, and notes what it was asked."""

import ast
import base64
import json
from dataclasses import dataclass, field

from ops.host.remote import Done
from ops.host.resources import File

TOOL = "/usr/local/sbin/kpi-host"
BARE = {
    "distribution": "debian",
    "release": "12",
    "name": "",
    "architecture": "amd64",
    "python": "3.11.2",
    "systemd": 252,
    "booted_by_systemd": True,
    "container": "",
    "login": "admin",
    "root_filesystem": "ext4",
    "free_mb": 5000,
    "free_inodes": 100000,
    "read_only": False,
    "swaps": {},
    "packages": {},
    "users": {},
    "groups": {},
    "units": {},
    "tests": [],
    "ports": {},
    "instances": [],
    "due": [],
}


@dataclass
class Lock:
    """A lock that was given."""

    remote: "ScriptedRemote"

    def release(self):
        self.remote.asked.append("(lock released)")
        return Done(0, "", "")


@dataclass
class ScriptedRemote:
    """`answers`: first word of kpi-host -> (status, documents), or a list of such, one for each time it is asked.

    `files`: resources that lie there; what steps write or remove there is noted, and lies there then.
    """

    answers: dict
    files: tuple = ()
    holder: dict | None = None
    asked: list = field(default_factory=list)
    received: dict = field(default_factory=dict)
    questions: int = 0  # how often the facts were gathered

    def run(self, argv, *, stdin=b"", on_line=None, **_):
        if argv[0] == "python3":
            return self._python(stdin.decode(), on_line)
        assert argv[0] == TOOL
        self.asked.append(" ".join(argv[1:]))
        self.received[argv[1]] = stdin if isinstance(stdin, bytes) else b"".join(stdin)
        status, documents = self._answer(argv[1])
        if isinstance(status, BaseException):
            raise status
        lines = [json.dumps(document) for document in documents]
        for line in lines:
            on_line(line)
        return Done(status, "\n".join(lines), "")

    def _python(self, program, on_line):
        """What is sent to `python3 -`: a question, or steps."""
        said = json.loads(ast.literal_eval(program.rstrip().rpartition("main(json.loads(")[2].removesuffix("))")))
        if "paths" in said:
            self.questions += 1
            return Done(0, json.dumps({**BARE, "paths": {path: self._found(path) for path in said["paths"]}}), "")
        for number, step in enumerate(said["steps"]):
            for action in step["actions"]:
                self._do(action)
            on_line(json.dumps({"event": "done", "step": number, "seconds": 0}))
        return Done(0, "", "")

    def _do(self, action):
        for sent in action.get("files", ()):
            self.asked.append(f"(write {sent['path']})")
            content = base64.b64decode(sent["content"])
            kept = [file for file in self.files if file.path != sent["path"]]
            self.files = (*kept, File(sent["path"], content, sent["mode"]))
        if action["do"] == "remove":
            self.asked.append(f"(remove {action['path']})")
            self.files = tuple(file for file in self.files if file.path != action["path"])

    def _found(self, path):
        file = next((file for file in self.files if file.path == path), None)
        inside = sorted(file.path.rpartition("/")[2] for file in self.files if file.path.rpartition("/")[0] == path)
        if file is None and not inside:
            return None
        rights = {"mode": file.mode, "owner": "root", "group": "root"} if file else {"mode": 0o755}
        content = base64.b64encode(file.data).decode() if file else None
        kind = "file" if file else "directory"
        known = {"owner": "root", "group": "root", "size": 0, "target": "", "content": content, "names": inside}
        return {**known, "kind": kind, **rights}

    def _answer(self, word):
        answer = self.answers.get(word, (0, [{"ok": True}]))
        return answer.pop(0) if isinstance(answer, list) else answer

    def hold(self, argv):
        self.asked.append(" ".join(argv[1:]))
        if self.holder:
            line = json.dumps({"held": False, "holder": self.holder})
            return line, Done(75, line, "")
        return '{"held": true}', Lock(self)
