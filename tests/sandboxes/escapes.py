"""Ways out of a sandbox, each a small program.

A program has escaped when it has printed ESCAPED, or when the host has seen what it did. An OSError
or a refusal is what a contained one meets. No program does harm where it succeeds, which it does
when it is run without containment: that is the control that shows that it would have been noticed.
"""

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from textwrap import indent
from typing import Literal

from helios.sandboxes.seccomp import ABSENT
from tests.sandboxes.outside import Outside

Control = Literal["always", "root", "maybe", "never"]
"""Who succeeds without containment: everybody, root, some machines, nobody (too harmful to try)."""

PRELUDE = """
import ctypes, os, socket, stat, struct, subprocess, sys
class Refused(Exception): pass
def others():
    # the victim, where it can be seen; else whoever can
    if os.path.exists(f"/proc/{{victim}}"): return [victim]
    return list(filter(str.isdecimal, os.listdir("/proc")))
{values}
def attempt():
{body}
try:
    attempt()
except (OSError, Refused) as error:
    print("contained:", type(error).__name__, error)
else:
    print("ESCAPED")
"""


def nothing_seen(_: Outside) -> bool:
    return False


@dataclass(frozen=True)
class Escape:
    """`seen` asks the host for traces; `silent` means that only they count."""

    name: str
    body: str
    control: Control = "always"
    seen: Callable[[Outside], bool] = field(default=nothing_seen)
    silent: bool = False

    def program(self, outside: Outside) -> str:
        values = "\n".join(f"{name} = {value!r}" for name, value in outside.values().items())
        return PRELUDE.format(values=values, body=indent(self.body, "    "))


NETWORK = [
    Escape(
        "tcp to the host",
        "socket.create_connection(('127.0.0.1', tcp_port), 2).sendall(b'x')",
        seen=lambda host: host.tcp.seen(),
    ),
    Escape(
        "tcp to the host over IPv6 notation",
        "socket.create_connection(('::ffff:127.0.0.1', tcp_port), 2).sendall(b'x')",
        seen=lambda host: host.tcp.seen(),
    ),
    Escape(
        "udp to the host",
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.sendto(b'x', ('127.0.0.1', udp_port))",
        seen=lambda host: host.udp.seen(),
        silent=True,
    ),
    Escape(
        "a DNS query to a resolver of the host",
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.settimeout(0.5)\n"
        "name = b''.join(bytes([len(p)]) + p for p in (b'secret', b'example', b'org')) + b'\\0'\n"
        "question = struct.pack('>HHHHHH', 7, 256, 1, 0, 0, 0) + name + b'\\0\\1\\0\\1'\n"
        "s.sendto(question, ('127.0.0.1', udp_port))\n"
        "if not s.recv(512): raise Refused('no answer')",
        seen=lambda host: host.udp.seen(),
    ),
    Escape(
        "name resolution",
        "socket.getaddrinfo('example.org', 80)",
        control="maybe",
    ),
    Escape(
        "a network interface beside the loopback",
        "if {name for _, name in socket.if_nameindex()} <= {'lo', 'sit0', 'tunl0', 'ip6tnl0'}:\n"
        "    raise Refused('only the loopback')",
        control="maybe",
    ),
    Escape(
        "raw socket",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)",
        control="root",
    ),
    Escape("packet socket", "socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)", control="root"),
    Escape(
        "socket to the hypervisor",
        "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)",
        control="maybe",
    ),
    Escape(
        "abstract unix socket of the host",
        "s = socket.socket(socket.AF_UNIX)\ns.connect('\\0' + abstract_name)\ns.sendall(b'x')",
        seen=lambda host: host.abstract.seen(),
    ),
    Escape(
        "unix socket in a directory of the host, as Docker's is",
        "s = socket.socket(socket.AF_UNIX)\ns.connect(unix_path)\ns.sendall(b'x')",
        seen=lambda host: host.unix.seen(),
    ),
    Escape(
        "Docker's own sockets",
        "paths = ('/var/run/docker.sock', '/run/docker.sock', '/run/containerd/containerd.sock',\n"
        "         '/run/podman/podman.sock', '/run/dbus/system_bus_socket')\n"
        "if not any(os.path.exists(path) for path in paths): raise Refused('none there')",
        control="maybe",
    ),
]

READING = [
    Escape("file of the host", "open(secret_path).read()"),
    Escape("file of the host by ..", "open('../' + os.path.basename(secret_path)).read()"),
    Escape("file of the host by a link in the work directory", "open('link-to-secret').read()"),
    Escape(
        "file of the host by a link made inside",
        "os.symlink(secret_path, 'made-inside')\nopen('made-inside').read()",
    ),
    Escape("file of the host by a hard link", "os.link(secret_path, 'hard-link')"),
    Escape(
        "home directory",
        "if not set(os.listdir(home)) & set(home_names): raise Refused('not the real one')",
        control="maybe",
    ),
    Escape("password hashes", "open('/etc/shadow').read()", control="root"),
    Escape(
        "machine id, host keys, resolver",
        "for path in ('/etc/machine-id', '/etc/resolv.conf', '/etc/ssh', '/etc/hostname'):\n"
        "    if os.path.exists(path): break\n"
        "else: raise Refused('none there')",
        control="maybe",
    ),
    Escape("the main repository behind a worktree", "open(git_directory + '/config').read()"),
    Escape("root directory of process 1", "open('/proc/1/root' + secret_path).read()", "never"),
    Escape(
        "root directories of other processes",
        "for pid in others():\n"
        "    if os.path.exists(f'/proc/{pid}/root{secret_path}'): return\n"
        "raise Refused('not found')",
    ),
    Escape(
        "environments of other processes",
        "for pid in others():\n"
        "    try:\n"
        "        if token.encode() in open(f'/proc/{pid}/environ', 'rb').read(): return\n"
        "    except OSError: pass\n"
        "raise Refused('not found')",
    ),
    Escape(
        "command lines of other processes",
        "for pid in others():\n"
        "    try:\n"
        "        if argument.encode() in open(f'/proc/{pid}/cmdline', 'rb').read(): return\n"
        "    except OSError: pass\n"
        "raise Refused('not found')",
    ),
    Escape("memory of the kernel", "open('/proc/kcore', 'rb').read(1)", control="maybe"),
    Escape("key rings", "open('/proc/keys').read()", control="maybe"),
    Escape(
        "disks and memory as devices",
        "if not any(os.path.exists('/dev/' + name) for name in\n"
        "           ('mem', 'kmsg', 'vda', 'sda', 'nvme0n1', 'fuse', 'kvm', 'loop-control')):\n"
        "    raise Refused('none there')",
        control="maybe",
    ),
    Escape(
        "System V shared memory of the host",
        "if ctypes.CDLL(None).shmget(shm_key, 0, 0) == -1: raise Refused('not found')",
    ),
    Escape("POSIX shared memory of the host", "open('/dev/shm/' + shm_name, 'rb').read(1)"),
]

WRITING = [
    Escape("new file of the host", "open(target, 'w').write('x')", seen=Outside.target_exists),
    Escape(
        "new file of the host by ..",
        "open('../' + os.path.basename(target), 'w').write('x')",
        seen=Outside.target_exists,
    ),
    Escape(
        "new file of the host by a link to its directory",
        "open('link-to-outside/' + os.path.basename(target), 'w').write('x')",
        seen=Outside.target_exists,
    ),
    Escape(
        "new file of the host by moving one there",
        "open('moved', 'w').write('x')\nos.rename('moved', target)",
        seen=Outside.target_exists,
    ),
    # Opened for writing, and never written to: that it can be opened is enough.
    Escape("/etc", "os.open('/etc/passwd', os.O_WRONLY)", control="root"),
    Escape("/etc, a new file", "os.open('/etc/helios-escape', os.O_CREAT | os.O_EXCL)", "never"),
    Escape("/usr", "os.open('/usr/lib/os-release', os.O_WRONLY)", control="root"),
    Escape("/, a new directory", "os.mkdir('/helios-escape')", control="never"),
    Escape("the interpreter's library", "os.open(os.__file__, os.O_WRONLY)", control="maybe"),
    Escape(
        "the interpreter's packages, a new file",
        "path = os.path.join(sys.prefix, 'helios-escape.pth')\n"
        "os.open(path, os.O_CREAT | os.O_EXCL)\n"
        "os.unlink(path)",
        control="maybe",
    ),
    Escape(
        "the worktree's .git, rewritten",
        "open('.git', 'w').write('gitdir: evil')",
        seen=Outside.git_changed,
    ),
    Escape(
        "the worktree's .git, replaced",
        "open('evil', 'w').write('gitdir: evil')\nos.replace('evil', '.git')",
        seen=Outside.git_changed,
    ),
    Escape("the worktree's .git, removed", "os.unlink('.git')", seen=Outside.git_changed),
    Escape("settings of the kernel", "os.open('/proc/sys/kernel/core_pattern', 1)", "root"),
    Escape("the panic button", "os.open('/proc/sysrq-trigger', os.O_WRONLY)", control="maybe"),
    Escape(
        "/sys",
        "for directory, _, files in os.walk('/sys/kernel'):\n"
        "    for name in files:\n"
        "        if os.access(os.path.join(directory, name), os.W_OK): return\n"
        "raise Refused('nothing there to write to')",
        control="root",
    ),
    Escape(
        "control groups",
        "for directory, _, files in os.walk('/sys/fs/cgroup'):\n"
        "    if os.access(directory + '/cgroup.procs', os.W_OK): return\n"
        "raise Refused('nothing there to write to')",
        control="maybe",
    ),
    Escape("memory of process 1", "os.open('/proc/1/mem', os.O_RDWR)", control="never"),
    Escape("memory of a host's process", "os.open(f'/proc/{victim}/mem', os.O_RDWR)", "maybe"),
    Escape(
        "a disk as a new device",
        "os.mknod('disk', stat.S_IFBLK | 0o600, os.makedev(8, 0))\nos.unlink('disk')",
        control="root",
    ),
]

RIGHTS = [
    Escape(
        "capabilities",
        "for line in open('/proc/self/status'):\n"
        "    if line.startswith('Cap') and int(line.split()[1], 16): return\n"
        "raise Refused('none')",
    ),
    Escape(
        "new rights by set-user-id programs",
        "if 'NoNewPrivs:\\t1' in open('/proc/self/status').read(): raise Refused('switched off')",
        control="maybe",
    ),
    Escape(
        "a set-user-id file for later",
        "open('tool', 'w').write('x')\nos.chmod('tool', 0o4755)",
        seen=Outside.set_user_id_left,
    ),
    Escape(
        "a file that is set-user-id from the start",
        "os.umask(0)\nos.close(os.open('tool', os.O_CREAT | os.O_WRONLY, 0o4755))",
        seen=Outside.set_user_id_left,
    ),
    Escape("another root directory", "os.chroot('.')", control="root"),
    Escape(
        "killing a process of the host",
        "os.kill(victim, 9)",
        seen=Outside.victim_is_dead,
    ),
    Escape(
        "keystrokes for the host's terminal",
        "import fcntl\n"
        "terminal = os.open(terminal_path, os.O_RDWR | os.O_NOCTTY)\n"
        "fcntl.ioctl(terminal, 0x5412, b'x')",
        control="maybe",
        seen=Outside.was_typed,
    ),
    Escape(
        "keystrokes for a terminal of its own",
        "import fcntl, pty, termios\n"
        "if os.fork(): sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))\n"
        "os.setsid()\n"
        "_, slave = pty.openpty()\n"
        "fcntl.ioctl(slave, termios.TIOCSCTTY, 0)\n"
        "fcntl.ioctl(slave, 0x5412, b'x')",
        control="maybe",
    ),
    Escape("the terminal it was started from", "os.open('/dev/tty', os.O_RDWR)", control="maybe"),
    Escape(
        "a user namespace by the usual tool",
        "if subprocess.call(['unshare', '--user', '--map-root-user', 'true']): raise Refused('')",
        control="maybe",
    ),
    Escape(
        "a mount by the usual tool",
        "if subprocess.call(['mount', '-t', 'tmpfs', 'x', '.']): raise Refused('')",
        control="never",
    ),
]

ESCAPES = [*NETWORK, *READING, *WRITING, *RIGHTS]


@dataclass(frozen=True)
class Call:
    """A system call that must not even reach the kernel.

    Its arguments make it fail, or do nothing, where it does: by another error than the filter's.
    """

    name: str
    arguments: tuple[object, ...] = ()
    control: Control = "always"

    @property
    def refusal(self) -> int:
        """The filter's answer."""
        return errno.ENOSYS if self.name in ABSENT else errno.EPERM


def calls_program(calls: list[Call], numbers: Mapping[str, int]) -> str:
    """Tries one after the other, and prints the name and the error of each."""
    tried = [(call.name, numbers[call.name], call.arguments) for call in calls]
    return (
        "import ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        f"for name, number, arguments in {tried!r}:\n"
        "    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]\n"
        "    result = libc.syscall(ctypes.c_long(number), *given)\n"
        "    print(name, ctypes.get_errno() if result == -1 else 0, flush=True)\n"
    )


NOBODY = 2**22 + 1  # above the highest process id there can be
NOWHERE = b"/helios/nowhere"
CLONE_NEWUSER = 0x10000000

CALLS = [
    Call("ptrace", (16, NOBODY, 0, 0)),
    Call("process_vm_readv", (NOBODY, None, 0, None, 0, 0)),
    Call("process_vm_writev", (NOBODY, None, 0, None, 0, 0)),
    Call("pidfd_getfd", (-1, 0, 0)),
    Call("kcmp", (NOBODY, NOBODY, 0, 0, 0), "maybe"),
    Call("mount", (b"x", NOWHERE, b"tmpfs", 0, None)),
    Call("umount2", (NOWHERE, 0)),
    Call("pivot_root", (NOWHERE, NOWHERE), "root"),
    Call("chroot", (NOWHERE,)),
    Call("open_tree", (-100, NOWHERE, 0)),
    Call("move_mount", (-1, NOWHERE, -1, NOWHERE, 0), "root"),
    Call("fsopen", (b"nothing", 0), "root"),
    Call("fspick", (-100, NOWHERE, 0), "root"),
    Call("mount_setattr", (-1, NOWHERE, 0, None, 0), "maybe"),
    Call("unshare", (0,)),
    Call("setns", (-1, 0)),
    Call("clone3", (None, 0)),
    Call("open_by_handle_at", (-1, None, 0), "root"),
    Call("bpf", (-1, None, 0), "root"),
    Call("keyctl", (0, -3, 0)),
    Call("add_key", (None, None, None, 0, 0)),
    Call("request_key", (None, None, None, 0)),
    Call("io_uring_setup", (0, None), "maybe"),
    Call("io_uring_enter", (-1, 0, 0, 0, None, 0)),
    Call("perf_event_open", (None, 0, -1, -1, 0), "maybe"),
    Call("userfaultfd", (-1,), "root"),
    Call("fanotify_init", (-1, -1), "root"),
    Call("init_module", (None, 0, None), "root"),
    Call("finit_module", (-1, None, 0), "root"),
    Call("delete_module", (None, 0), "root"),
    Call("swapon", (NOWHERE, 0), "root"),
    Call("syslog", (-1, None, 0), "maybe"),
    Call("acct", (NOWHERE,), "root"),
]
