"""under_unit.py UNIT PROGRAM [ARGUMENT…]: runs a program under the system calls that a systemd unit allows, as systemd would set
them: SystemCallFilter with its groups, SystemCallErrorNumber, RestrictAddressFamilies, MemoryDenyWriteExecute and no new
privileges. The filter is made by libseccomp, which systemd uses too."""

import ctypes
import errno
import os
import re
import socket
import subprocess
import sys

ALLOW, ERRNO = 0x7FFF0000, 0x00050000
MASKED_EQ, NOT_EQUAL, EQUAL = 7, 1, 4
PROT_WRITE, PROT_EXEC = 2, 4
PR_SET_NO_NEW_PRIVS = 38


class Compare(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64),
                ("b", ctypes.c_uint64)]


def group(name):
    """Names of the system calls in a group of systemd's."""
    if not name.startswith("@"):
        return {name}
    text = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", name],
                          capture_output=True, text=True, check=True).stdout
    members = [line.strip() for line in text.splitlines()[1:]]
    return set().union(*(group(word) for word in members if word and not word.startswith("#")))


def allowed(lines):
    """What a unit's lines leave: the first one says that what is not named is refused."""
    calls = group("@default")
    for line in lines:
        words = set().union(*(group(word) for word in line.lstrip("~").split()))
        calls = calls - words if line.startswith("~") else calls | words
    return calls


class Filter:
    def __init__(self, refusal):
        self.library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        self.library.seccomp_init.restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.library.seccomp_init(refusal))
        assert self.context

    def rule(self, action, name, *compares):
        number = self.library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:  # not of this architecture
            return
        array = (Compare * max(len(compares), 1))(*compares)
        result = self.library.seccomp_rule_add_array(self.context, ctypes.c_uint32(action), number,
                                                     len(compares), array)
        assert result in (0, -errno.EACCES, -errno.EEXIST), (name, result)

    def load(self):
        assert self.library.seccomp_load(self.context) == 0


def settings(unit, name):
    return re.findall(rf"^{name}=(.*)$", unit, re.MULTILINE)


def confine(unit):
    refusal = ERRNO | getattr(errno, settings(unit, "SystemCallErrorNumber")[0])
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    calls = allowed(settings(unit, "SystemCallFilter"))
    seccomp = Filter(refusal)
    for name in sorted(calls - {"socket"}):
        seccomp.rule(ALLOW, name)
    for family in settings(unit, "RestrictAddressFamilies")[0].split():
        seccomp.rule(ALLOW, "socket", Compare(0, EQUAL, getattr(socket, family), 0))
    further = [seccomp]
    if settings(unit, "MemoryDenyWriteExecute") == ["yes"]:
        memory = Filter(ALLOW)
        both = PROT_WRITE | PROT_EXEC
        memory.rule(refusal, "mmap", Compare(2, MASKED_EQ, both, both))
        memory.rule(refusal, "mprotect", Compare(2, MASKED_EQ, PROT_EXEC, PROT_EXEC))
        further.append(memory)
    # The one that refuses most comes last, since loading a filter is a system call too.
    for each in reversed(further):
        each.load()


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        unit = file.read()
    confine(unit)
    os.execv(sys.argv[2], sys.argv[2:])


main()
