"""What a helper of `spawn_helper.ts` runs where there is a Python: starts what it
is told to, and tells how it ended, as `spawn_helper_program.mjs` does.

Node forks to start a command, and copies its page tables; Python has
`posix_spawn`, which needs no copy: the command begins in half of the time. It
takes a fifth of the memory, too. Nothing but the standard library of 3.8.
"""

import errno
import json
import os
import select
import signal
import sys

# Stay in the order of coming: a signal is passed at once, starts wait.
waiting = []
# The process groups, by the command's number, as long as they get signals.
groups = {}
# The commands' numbers by process id, until their exits are collected.
running = {}

# What `execvp` takes for "not in this folder": glibc, posix/execvpe.c.
NOT_HERE = (
    errno.ENOENT,
    errno.ESTALE,
    errno.ENOTDIR,
    errno.ENODEV,
    errno.ETIMEDOUT,
)

# Python ignores these two, and what it starts would inherit that.
DEFAULT = (signal.SIGPIPE, signal.SIGXFSZ)

home = os.open(".", os.O_PATH | os.O_DIRECTORY)


def tell(message):
    text = json.dumps(message, separators=(",", ":")).encode() + b"\n"
    while text:
        text = text[os.write(1, text) :]


def utf8(text):
    """As Node encodes: what is no character, half a surrogate pair, as U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        units = text.encode("utf-16", "surrogatepass")
        return units.decode("utf-16", "replace").encode()


def begin(start):
    number = start["id"]
    opened = []
    try:
        actions = []
        for descriptor, end in enumerate(start["stdio"]):
            if end == "ignore":
                how = os.O_RDONLY if descriptor == 0 else os.O_RDWR
                action = (os.POSIX_SPAWN_OPEN, descriptor, os.devnull, how, 0)
                actions.append(action)
                continue
            opened.append(open_end(end))
            actions.append((os.POSIX_SPAWN_DUP2, opened[-1], descriptor))
        pid = spawn(start, actions)
        groups[number] = pid
        running[pid] = number
        tell({"id": number, "pid": pid})
    except (OSError, ValueError) as error:
        code = errno.errorcode.get(getattr(error, "errno", None))
        tell({"id": number, "error": {"code": code, "message": str(error)}})
    finally:
        for descriptor in opened:
            os.close(descriptor)


def environment(given):
    """As Node has it: a name with `=` in it ends there for whoever reads it. One
    without a name is none."""
    env = {}
    for name, value in given.items():
        name, _, value = (utf8(name) + b"=" + utf8(value)).partition(b"=")
        if name:
            env[name] = value
    return env


# Whether this process could not return from the folder of the last command.
is_away = False


def spawn(start, actions):
    """As `execvp` in the child's folder, with the child's PATH."""
    file = utf8(start["file"])
    words = [file, *map(utf8, start["args"])]
    env = environment(start["env"])
    cwd = start.get("cwd")
    if is_away and not (cwd or "").startswith("/"):
        go_home()
    if cwd:
        os.chdir(utf8(cwd))
    try:
        if b"/" in file:
            return try_one(file, words, env, actions)
        failure = OSError(errno.ENOENT, "not found")
        path = env.get(b"PATH", utf8(os.defpath))
        for folder in path.split(b":"):
            try:
                return try_one(
                    folder + b"/" + file if folder else file, words, env, actions
                )
            except OSError as error:
                if error.errno == errno.EACCES:
                    failure = error
                elif error.errno not in NOT_HERE:
                    raise
        raise failure
    finally:
        if cwd:
            leave()


def leave():
    global is_away
    is_away = True
    try:
        go_home()
    except OSError:
        # The next one is told, for which it is: this one runs.
        pass


def go_home():
    global is_away
    os.chdir(home)
    is_away = False


def try_one(path, words, env, actions):
    # Far cheaper than a start that fails.
    os.stat(path)
    surroundings = {"file_actions": actions, "setsid": True, "setsigdef": DEFAULT}
    try:
        return os.posix_spawn(path, words, env, **surroundings)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
    # A script that names no interpreter is the shell's.
    script = ["/bin/sh", path, *words[1:]]
    return os.posix_spawn("/bin/sh", script, env, **surroundings)


def open_end(end):
    """The child's end of a named pipe. Opening one waits for the other end, which
    is open, unless the server has gone meanwhile: so there is another of ours."""
    path = utf8(end["path"])
    others = [os.open(path, os.O_RDONLY | os.O_NONBLOCK)]
    try:
        if end["writes"]:
            return os.open(path, os.O_WRONLY)
        others.append(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        return os.open(path, os.O_RDONLY)
    finally:
        for descriptor in others:
            os.close(descriptor)


def collect():
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        number = running.pop(pid, None)
        if number is None:
            # Somebody started it and then became this process.
            continue
        # At once, while the number cannot be anybody else's.
        is_gone = not is_there(pid)
        if is_gone:
            del groups[number]
        code, by = None, None
        if os.WIFSIGNALED(status):
            by = os.WTERMSIG(status)
        else:
            code = os.WEXITSTATUS(status)
        tell({"id": number, "code": code, "signal": by, "isGone": is_gone})


def is_there(pid):
    try:
        os.killpg(pid, 0)
    except PermissionError:
        # They belong to another user.
        return True
    except OSError:
        return False
    return True


def pass_on(number, by):
    pid = groups.get(number)
    if pid is None:
        return
    if by is None:
        # There will be none any more.
        del groups[number]
        return
    try:
        os.killpg(pid, by)
    except OSError:
        # It has gone, or belongs to another user.
        pass


def check():
    """Leaves at once where this way to start is not to be had, or not allowed."""
    try:
        os.posix_spawn("/", ["/"], {}, setsid=True)
    except (AttributeError, NotImplementedError):
        sys.exit(1)
    except OSError as error:
        # What a folder is answered with.
        if error.errno != errno.EACCES:
            sys.exit(1)
    else:
        # An emulator that has no vfork: every failure would be a program's 127.
        sys.exit(1)


def main():
    check()
    ended, write_end = os.pipe()
    os.set_blocking(ended, False)
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    # The server alone ends this process, by ending itself or its pipe: what stops a
    # service may tell all of it to stop, and then the server waits for its commands.
    for number in (
        signal.SIGCHLD,
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGTERM,
    ):
        signal.signal(number, lambda *_: None)
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(ended, select.POLLIN)
    tell({"up": True})
    text = b""
    while True:
        for descriptor, _ in poll.poll(0 if waiting else None):
            if descriptor == ended:
                os.read(ended, 4096)
                collect()
                continue
            piece = os.read(0, 65536)
            if not piece:
                return
            *lines, text = (text + piece).split(b"\n")
            for line in lines:
                message = json.loads(line)
                if "signal" in message:
                    pass_on(message["id"], message["signal"])
                else:
                    waiting.append(message)
        # One at a time: a signal that comes meanwhile does not wait for all of them.
        if waiting:
            begin(waiting.pop(0))


try:
    main()
except (BrokenPipeError, ConnectionResetError):
    # The server has gone.
    pass
