"""What a process that reads strangers' bytes gives up before it reads them: memory, time, files, network,
other processes.

Linux on x86-64 and arm64 gets all of it; elsewhere what the system has. Importing this loads nothing heavy.
"""

import ctypes
import json
import os
import signal
import struct
import sys
from collections.abc import Callable, Mapping
from typing import Any

LENGTHS = struct.Struct(">II")  # of a message: bytes of its JSON, and of what follows that
TICK = 0.05  # seconds; how early the timer is set, so that the end comes before the limit
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2  # linux/prctl.h, linux/seccomp.h
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 1  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO with EPERM
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
_NUMBER, _ARCH = 0, 4  # offsets in struct seccomp_data

# What decoding in memory needs: reading and writing what is open, memory, time, signals of its own, the end.
# No open, no socket, no new process. The numbers behind a name are those of the machines in _MACHINES.
_CALLS = """
    read 0 63, write 1 64, close 3 57, fstat 5 80, lseek 8 62, mmap 9 222, mprotect 10 226, munmap 11 215,
    brk 12 214, rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, readv 19 65,
    writev 20 66, sched_yield 24 124, mremap 25 216, madvise 28 233, nanosleep 35 101, getpid 39 172,
    exit 60 93, gettimeofday 96 169, getrusage 98 165, ftruncate 77 46, times 100 153,
    sigaltstack 131 132, futex 202 98, gettid 186 178, restart_syscall 219 128, clock_gettime 228 113,
    clock_nanosleep 230 115, exit_group 231 94, tgkill 234 131, getrandom 318 278, rseq 334 293,
    membarrier 324 283
"""
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}  # AUDIT_ARCH_*, which number


def serve_confined(
    prepare: Callable[..., Callable[..., tuple[Mapping[str, Any], bytes]]],
    memory: int,
    seconds: int,
    file: int = 0,
) -> None:
    """Answer requests from stdin on stdout until it closes, in a process that can do nothing else by then.

    Both are messages: the lengths of a JSON object and of bytes, then these two. prepare: (the arguments of
    the process, of which the first is the command) → what answers (bytes, the object's members) with both; it
    imports and opens all that is needed, as no file can be opened later. memory, seconds, file: see
    ``limit``.
    """
    answer = prepare(*sys.argv[1:])
    limit(memory, seconds, file)
    shut_in()
    asked, out = sys.stdin.buffer, sys.stdout.buffer
    while head := asked.read(LENGTHS.size):
        told, size = LENGTHS.unpack(head)
        given = json.loads(asked.read(told))
        header, body = answer(asked.read(size), **given)
        line = json.dumps(header).encode()
        out.write(LENGTHS.pack(len(line), len(body)) + line)
        out.write(body)
        out.flush()


def limit(memory: int, seconds: int, file: int = 0) -> None:
    """Allow this process ``memory`` bytes more of address space than now, ``seconds`` of processor time in
    all, no core file and no file that grows beyond ``file`` bytes.

    The system counts whole seconds only, so a timer ends the process a little before them. A limit that the
    system doesn't have is left out; on Linux, which has them all, that raises ValueError or OSError.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    left = max(TICK, seconds - TICK - used.ru_utime - used.ru_stime)
    signal.setitimer(signal.ITIMER_PROF, left)  # SIGPROF, which nobody handles
    for name, value in (
        (resource.RLIMIT_AS, _address_space() + memory),
        (resource.RLIMIT_CPU, seconds + 1),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, file),
    ):
        try:
            resource.setrlimit(name, (value, value))
        except (ValueError, OSError):  # macOS refuses RLIMIT_AS (python/cpython#78783); the others still hold
            if sys.platform.startswith("linux"):
                raise


def _address_space() -> int:
    """Bytes mapped by now; 0 where the system doesn't say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def shut_in() -> bool:
    """From now on the process can only compute, and read and write what is open already. False where the
    system has no such filter.

    Everything it will need must be imported before.
    """
    machine = os.uname().machine if sys.platform == "linux" else ""
    if machine not in _MACHINES:
        return False
    arch, place = _MACHINES[machine]
    calls = tuple(int(call.split()[1 + place]) for call in _CALLS.split(","))
    # (code, jump if true, jump if false, value): refuse other machines' calls, allow ours, refuse the rest
    program = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _REFUSE), (_LOAD, 0, 0, _NUMBER)]
    program += [(_EQUAL, len(calls) - i, 0, call) for i, call in enumerate(calls)]
    program += [(_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    head = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))  # struct sock_fprog
    libc = ctypes.CDLL(None, use_errno=True)
    kept = ctypes.create_string_buffer(head)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    return libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.c_void_p(ctypes.addressof(kept)), 0, 0) == 0
