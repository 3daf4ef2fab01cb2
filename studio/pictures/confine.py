"""What a process that reads strangers' bytes gives up before it reads them: memory, time, files, network,
other processes.

Linux on x86-64 and arm64 gets all of it; elsewhere what the system has. Importing this loads nothing heavy.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys

TICK = 0.05  # seconds; how early the timer is set, so that the end comes before the limit
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2  # linux/prctl.h, linux/seccomp.h
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 1  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO with EPERM
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
_NUMBER, _ARCH = 0, 4  # offsets in struct seccomp_data

# What decoding in memory needs: reading and writing what is open, memory, time, signals of its own, the end.
# No open, no socket, no new process.
# Names in order: read write close fstat lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask
# rt_sigreturn readv writev sched_yield mremap
# madvise nanosleep getpid exit gettimeofday getrusage times sigaltstack futex gettid restart_syscall
# clock_gettime clock_nanosleep exit_group
# tgkill getrandom rseq membarrier
_CALLS = {
    "x86_64": (
        0xC000003E,
        (
            0,
            1,
            3,
            5,
            8,
            9,
            10,
            11,
            12,
            13,
            14,
            15,
            19,
            20,
            24,
            25,
            28,
            35,
            39,
            60,
            96,
            98,
            100,
            131,
            202,
            186,
            219,
            228,
            230,
            231,
            234,
            318,
            334,
            324,
        ),
    ),
    "aarch64": (
        0xC00000B7,
        (
            63,
            64,
            57,
            80,
            62,
            222,
            226,
            215,
            214,
            134,
            135,
            139,
            65,
            66,
            124,
            216,
            233,
            101,
            172,
            93,
            169,
            165,
            153,
            132,
            98,
            178,
            128,
            113,
            115,
            94,
            131,
            278,
            293,
            283,
        ),
    ),
}


def limit(memory: int, seconds: int) -> None:
    """At most ``memory`` bytes more of address space than now, ``seconds`` of processor time in all, no core
    file, no larger files.

    The system counts whole seconds only, so a timer ends the process a little before them.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    signal.setitimer(
        signal.ITIMER_PROF, max(TICK, seconds - TICK - used.ru_utime - used.ru_stime)
    )  # SIGPROF, which nobody handles
    for name, value in (
        (resource.RLIMIT_AS, _address_space() + memory),
        (resource.RLIMIT_CPU, seconds + 1),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(name, (value, value))


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
    if machine not in _CALLS:
        return False
    arch, calls = _CALLS[machine]
    program = _program(arch, calls)
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    head = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))  # struct sock_fprog
    libc = ctypes.CDLL(None, use_errno=True)
    kept = ctypes.create_string_buffer(head)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    return libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.c_void_p(ctypes.addressof(kept)), 0, 0) == 0


def _program(arch: int, calls: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    """(code, jump if true, jump if false, value): refuse other machines' calls, allow ``calls``, refuse the
    rest."""
    lines = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _REFUSE), (_LOAD, 0, 0, _NUMBER)]
    lines += [(_EQUAL, len(calls) - i, 0, call) for i, call in enumerate(calls)]
    return [*lines, (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]
