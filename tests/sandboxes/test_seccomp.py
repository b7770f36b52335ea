"""The filter, run step by step by a small machine, for every architecture it knows."""

import errno
import re
import struct
from pathlib import Path

import pytest

from helios.errors import SandboxUnavailable
from helios.sandboxes.seccomp import (
    ABSENT,
    AUDIT_ARCH,
    DENIED,
    NEWEST_SYSCALL,
    SYSCALLS,
    seccomp_program,
)

ALLOWED, KILLED = "allowed", "killed"
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
O_CREAT, O_TMPFILE, CLONE_NEWUSER, SIGCHLD = 0o100, 0o20200000, 0x10000000, 17

machines = pytest.mark.parametrize("machine", sorted(SYSCALLS))


def verdict(machine: str, number: int, *arguments: int, arch: int | None = None) -> str | int:
    """What the program says to a call: allowed, killed, or the error."""
    arch = AUDIT_ARCH[machine] if arch is None else arch
    padded = (*arguments, *(0,) * (6 - len(arguments)))
    data = struct.pack("=IIQ6Q", number, arch, 0, *padded)
    steps = list(struct.iter_unpack("=HBBI", seccomp_program(machine)))
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, value = steps[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, value)
            case 0x15:
                at += if_true if accumulator == value else if_false
            case 0x25:
                at += if_true if accumulator > value else if_false
            case 0x45:
                at += if_true if accumulator & value else if_false
            case 0x06:
                break
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")
    action = value & 0xFFFF0000
    return {0x7FFF0000: ALLOWED, 0x80000000: KILLED}.get(action, value & 0xFFFF)


@machines
def test_named_calls_are_refused(machine: str) -> None:
    numbers = SYSCALLS[machine]
    for name in DENIED:
        if name in numbers:
            assert verdict(machine, numbers[name]) == errno.EPERM, name
    for name in ABSENT:
        assert verdict(machine, numbers[name]) == errno.ENOSYS, name


@machines
def test_everything_else_up_to_the_newest_is_allowed(machine: str) -> None:
    refused = {SYSCALLS[machine][name] for name in (*DENIED, *ABSENT) if name in SYSCALLS[machine]}
    conditional = {SYSCALLS[machine]["socket"], SYSCALLS[machine]["socketpair"]}
    for number in set(range(NEWEST_SYSCALL + 1)) - refused - conditional:
        assert verdict(machine, number) == ALLOWED, number


@machines
def test_newer_calls_and_other_numberings_do_not_exist(machine: str) -> None:
    for number in (NEWEST_SYSCALL + 1, 0x40000000, 0x40000000 | 101, 0xFFFFFFFF):
        assert verdict(machine, number) == errno.ENOSYS


@machines
def test_another_architecture_is_killed(machine: str) -> None:
    for arch in (0x40000003, 0xC00000B7 if machine == "x86_64" else 0xC000003E, 0):
        assert verdict(machine, 1, arch=arch) == KILLED


@machines
def test_arguments_decide(machine: str) -> None:
    numbers = SYSCALLS[machine]
    refused = [
        ("clone", (CLONE_NEWUSER | SIGCHLD,)),
        ("ioctl", (0, 0x5412)),
        ("ioctl", (0, 0xFFFFFFFF_00005412)),  # the kernel reads 32 bits of it
        ("ioctl", (0, 0x541C)),
        ("fchmod", (3, 0o4755)),
        ("fchmodat", (3, 0, 0o4755)),
        ("fchmodat2", (3, 0, 0o6755)),
        ("mknodat", (3, 0, 0o104755)),
        ("openat", (3, 0, O_CREAT, 0o4755)),
        ("openat", (3, 0, O_TMPFILE, 0o4755)),
    ]
    allowed = [
        ("clone", (SIGCHLD,)),
        ("clone", (0x3D0F00,)),  # a thread
        ("ioctl", (0, 0x5401)),
        ("fchmod", (3, 0o2755)),
        ("openat", (3, 0, O_CREAT, 0o755)),
        ("openat", (3, 0, 0, 0o4755)),  # nothing is made: the mode means nothing
    ]
    for name, arguments in refused:
        assert verdict(machine, numbers[name], *arguments) == errno.EPERM, (name, arguments)
    for name, arguments in allowed:
        assert verdict(machine, numbers[name], *arguments) == ALLOWED, (name, arguments)


@machines
def test_only_families_that_a_network_namespace_holds(machine: str) -> None:
    allowed = {1, 2, 10, 16}
    for family in range(50):
        expected = ALLOWED if family in allowed else errno.EAFNOSUPPORT
        assert verdict(machine, SYSCALLS[machine]["socket"], family) == expected
        assert verdict(machine, SYSCALLS[machine]["socketpair"], family) == expected


def test_old_calls_of_x86_64() -> None:
    numbers = SYSCALLS["x86_64"]
    assert verdict("x86_64", numbers["chmod"], 0, 0o4755) == errno.EPERM
    assert verdict("x86_64", numbers["creat"], 0, 0o4755) == errno.EPERM
    assert verdict("x86_64", numbers["open"], 0, O_CREAT, 0o4755) == errno.EPERM
    assert verdict("x86_64", numbers["open"], 0, O_CREAT, 0o644) == ALLOWED


@machines
def test_numbers_are_those_of_the_headers(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip(f"{HEADERS[machine]} is not installed")
    defined = re.findall(
        r"#define __NR(?:3264)?_(\w+)\s+(\d+)$", HEADERS[machine].read_text(), re.MULTILINE
    )
    known = {name: int(number) for name, number in defined}
    # Headers may be older than the newest calls.
    ours = {name: number for name, number in SYSCALLS[machine].items() if name in known}
    assert len(ours) > 0.8 * len(SYSCALLS[machine])
    assert ours == {name: known[name] for name in ours}
    everywhere = set(DENIED) & set(known)
    assert everywhere <= set(SYSCALLS[machine])


def test_an_unknown_machine_is_refused() -> None:
    with pytest.raises(SandboxUnavailable, match="riscv64"):
        seccomp_program("riscv64")
