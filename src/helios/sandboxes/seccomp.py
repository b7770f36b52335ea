"""The system call filter of the contained sandbox: a seccomp program in classic BPF.

The namespaces already take most of this away. The filter is the second wall: it closes what
namespaces do not cover (vsock, io_uring, key rings) and the calls in which the kernel's own holes
have been found. What is refused answers EPERM; what a program can do without, because it knows an
older way, answers ENOSYS, so that it takes that way.
"""

import errno
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from helios.errors import SandboxUnavailable
from helios.sandboxes.syscalls import AARCH64, X86_64

# A program for another machine (32 bit calls on x86_64) would use other numbers: it is killed.
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
SYSCALLS: dict[str, Mapping[str, int]] = {"x86_64": X86_64, "aarch64": AARCH64}

# Nobody here has looked at calls with higher numbers (nor at x32, which has bit 30 set).
NEWEST_SYSCALL = 469

DENIED = (
    # looking into and writing to other processes
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp"),
    # another view of the file system, other namespaces
    *("mount", "umount2", "pivot_root", "chroot", "open_tree", "open_tree_attr", "move_mount"),
    *("fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "unshare", "setns"),
    *("open_by_handle_at", "fanotify_init", "quotactl", "quotactl_fd"),
    # large, young or rarely needed parts of the kernel
    *("bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter"),
    *("io_uring_register", "add_key", "request_key", "keyctl", "modify_ldt", "lookup_dcookie"),
    *("nfsservctl", "uselib", "move_pages", "migrate_pages"),
    # the machine as a whole
    *("init_module", "finit_module", "delete_module", "create_module", "kexec_load"),
    *("kexec_file_load", "reboot", "swapon", "swapoff", "acct", "syslog", "vhangup", "iopl"),
    *("ioperm", "sethostname", "setdomainname", "settimeofday", "adjtimex"),
    *("clock_settime", "clock_adjtime"),
)
# Their arguments lie in memory, where a filter cannot see them; clone and openat are known to all.
ABSENT = ("clone3", "openat2")

NAMESPACE_FLAGS = 0x7E020000  # CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID and NET
SET_USER_ID = 0o4000
CREATES_FILE = 0x40 | 0x400000  # O_CREAT, O_TMPFILE without O_DIRECTORY; alike on both machines
TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
SOCKET_FAMILIES = (1, 2, 10, 16)  # UNIX, INET, INET6, NETLINK: those a network namespace holds


@dataclass(frozen=True, slots=True)
class Instruction:
    """One step of classic BPF; `if_true` and `if_false` count instructions to skip."""

    code: int
    value: int
    if_true: int = 0
    if_false: int = 0

    def packed(self) -> bytes:
        """As the kernel's `struct sock_filter`."""
        return struct.pack("=HBBI", self.code, self.if_true, self.if_false, self.value)


LOAD, EQUAL, GREATER, ANY_BIT, RETURN = 0x20, 0x15, 0x25, 0x45, 0x06

ALLOW = Instruction(RETURN, 0x7FFF0000)
KILL = Instruction(RETURN, 0x80000000)

_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16

Block = list[Instruction]


def seccomp_program(machine: str) -> bytes:
    """The filter for `machine` as `platform.machine` names it.

    Raises:
        SandboxUnavailable: nobody has written down the system calls of this machine.
    """
    if machine not in SYSCALLS:
        raise SandboxUnavailable(
            f"There is no system call filter for {machine!r} machines, only for "
            f"{' and '.join(SYSCALLS)}.",
            next_step="Use `--sandbox direct` to run without containment, at your own risk.",
        )
    return b"".join(step.packed() for step in _instructions(machine))


def _instructions(machine: str) -> Block:
    numbers = SYSCALLS[machine]
    program = [
        Instruction(LOAD, _ARCH_AT),
        Instruction(EQUAL, AUDIT_ARCH[machine], if_true=1),
        KILL,
        Instruction(LOAD, _NUMBER_AT),
        Instruction(GREATER, NEWEST_SYSCALL, if_false=1),
        _refuse(errno.ENOSYS),
    ]
    rules: list[tuple[Iterable[str], Block]] = [
        (DENIED, [_refuse(errno.EPERM)]),
        (ABSENT, [_refuse(errno.ENOSYS)]),
        (("clone",), _refuse_if_bits({0: NAMESPACE_FLAGS})),
        (("ioctl",), _refuse_if_one_of(1, TERMINAL_INPUT)),
        (("socket", "socketpair"), _refuse_unless_one_of(0, SOCKET_FAMILIES)),
        # A set-user-id file left in the work directory would run with the service's rights.
        (("chmod", "fchmod", "creat", "mknod"), _refuse_if_bits({1: SET_USER_ID})),
        (("fchmodat", "fchmodat2", "mknodat"), _refuse_if_bits({2: SET_USER_ID})),
        (("open",), _refuse_if_bits({1: CREATES_FILE, 2: SET_USER_ID})),
        (("openat",), _refuse_if_bits({2: CREATES_FILE, 3: SET_USER_ID})),
    ]
    for names, block in rules:
        for name in names:
            if name in numbers:
                program += [Instruction(EQUAL, numbers[name], if_false=len(block)), *block]
    return [*program, ALLOW]


def _refuse(error: int) -> Instruction:
    return Instruction(RETURN, 0x00050000 | error)


def _load_argument(index: int) -> Instruction:
    """The low half; the upper one means nothing to calls that take an int or known flags."""
    return Instruction(LOAD, _ARGUMENTS_AT + 8 * index)


def _refuse_if_bits(masks: Mapping[int, int]) -> Block:
    """EPERM where every argument named has a bit of its mask, else allow."""
    block: Block = [_refuse(errno.EPERM), ALLOW]
    for index, mask in masks.items():
        to_allow = len(block) - 1
        block = [_load_argument(index), Instruction(ANY_BIT, mask, if_false=to_allow), *block]
    return block


def _refuse_if_one_of(index: int, values: Iterable[int]) -> Block:
    block: Block = [_load_argument(index)]
    for value in values:
        block += [Instruction(EQUAL, value, if_false=1), _refuse(errno.EPERM)]
    return [*block, ALLOW]


def _refuse_unless_one_of(index: int, values: Iterable[int]) -> Block:
    block: Block = [_load_argument(index)]
    for value in values:
        block += [Instruction(EQUAL, value, if_false=1), ALLOW]
    return [*block, _refuse(errno.EAFNOSUPPORT)]
