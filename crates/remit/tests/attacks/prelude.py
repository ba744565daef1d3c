# Before every script of an attack: raw system calls, and one line for each attempt.
import ctypes, errno, fcntl, mmap, os, signal, socket, struct, subprocess, sys, threading, time

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def call(number, *arguments):
    """A raw system call (x86-64 numbers); raises OSError."""
    converted = [ctypes.c_long(number)]
    for one in arguments:
        if isinstance(one, str):
            one = one.encode()
        if isinstance(one, bytes):
            one = ctypes.c_char_p(one)
        elif isinstance(one, int):
            one = ctypes.c_long(one)
        converted.append(one)
    result = _libc.syscall(*converted)
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def attempt(name, act):
    """Prints `name: happened` or `name: ERRNO`."""
    try:
        act()
        print(f"{name}: happened", flush=True)
    except BaseException as error:
        number = getattr(error, "errno", None)
        print(f"{name}: {errno.errorcode.get(number, type(error).__name__)}", flush=True)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, text=b"written by the agent"):
    with open(path, "wb") as file:
        file.write(text)


def must(*words, **options):
    """Runs a program; fails unless it ends with 0. Returns what it wrote."""
    done = subprocess.run(words, capture_output=True, timeout=30, **options)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def exchange(one, other):
    call(316, -100, one, -100, other, 2)


def refuse(condition):
    """For a call that succeeded and showed that nothing happened."""
    if condition:
        raise PermissionError(13, "nothing happened")


