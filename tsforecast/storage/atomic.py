"""Files and folders that are seen whole: the old content or the new one, never something in between.

What is being written stands in a dot-named sibling, ``.<name>.<token>.tmp``, and takes its final name in one
step. Its writer holds a kernel lock on it. A sibling nobody holds was left by a writer that died: the next
writer of the same target removes it. A process id in the name would not tell the living from the dead where
two containers share a disk.

    replacing            one file, written by anything that wants a path
    write_bytes, _text   one file at once
    staging_folder       a folder to fill, and
    install_folder       the step that puts it in place, also over a full one
    open_folder          a reader's way in, which no replacement can pull away
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path

from tsforecast.errors import ConfigError, ResourceError, TsforecastError

__all__ = [
    "clear_leftovers",
    "close",
    "install_folder",
    "open_folder",
    "output_errors",
    "refuse_strangers",
    "refuse_unwritable",
    "replaced_folder",
    "replacing",
    "staging_folder",
    "write_bytes",
    "write_text",
]

# The place was right when the writing began: the disk failed, filled up or went away since. pyarrow gives no number
# where it cannot close a file.
_DISK_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOENT, errno.ESTALE, errno.ENOMEM, None}
)
_NOT_SUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})
_TOKEN_BYTES = 8
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def write_bytes(path: Path, data: bytes) -> None:
    """Put ``data`` under ``path`` in one step; see `replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Put ``text`` under ``path`` in one step, as UTF-8 with the line ends it has; see `replacing`."""
    write_bytes(path, text.encode("utf-8"))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write into, which takes the name ``path`` when the block ends without an error.

    A symbolic link is followed, as a shell's ``>`` does. Permissions follow the umask.

    Raises:
        ConfigError: ``path`` cannot be written: no such folder, no permission, not a regular file.
        ResourceError: the disk is full or failing; what was under ``path`` before is unchanged.
    """
    target = Path(os.path.realpath(path))
    with output_errors(path):
        _check_file_target(target)
        clear_leftovers(target)
        temporary, handle = _claim(target, _create_file)
    try:
        with _body_errors(path, temporary):
            yield temporary
        with output_errors(path):
            _fsync(temporary)
            temporary.replace(target)
        _confirm(target)
    finally:
        close(handle)
        with suppress(OSError):  # renamed already, or gone with its folder
            temporary.unlink()


@contextmanager
def staging_folder(target: Path) -> Iterator[Path]:
    """An empty folder beside ``target``, removed when the block ends unless it was installed.

    Raises:
        ConfigError: nothing can be made beside ``target``.
        ResourceError: the disk is full or failing.
    """
    with output_errors(target):
        clear_leftovers(target)
        temporary, handle = _claim(target, _create_folder)
    try:
        with _body_errors(target, temporary):
            yield temporary
    finally:
        close(handle)
        # After an exchange this is the old folder. What cannot be removed now, the next writer removes.
        _remove_folder(temporary)


@contextmanager
def replaced_folder(target: Path, *, ours: Sequence[str]) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of ``target`` in one step when the block ends.

    Args:
        target: a folder that may be there from an earlier time; missing parents are made.
        ours: patterns of the names that such a folder holds.

    Raises:
        ConfigError: something else stands there, or nothing can be written.
        ResourceError: the disk is full or failing; ``target`` is unchanged.
    """
    refuse_strangers(target, ours=ours)
    with output_errors(target):
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
    with staging_folder(target.absolute()) as folder:
        yield folder
        refuse_strangers(target, ours=ours)
        install_folder(folder, target.absolute())


def refuse_strangers(target: Path, *, ours: Sequence[str]) -> None:
    """Refuses a folder that :func:`replaced_folder` could not fill, or that holds what is not ours to delete.

    Raises:
        ConfigError: names what is in the way.
    """
    with output_errors(target):
        if target.exists() and not target.is_dir():
            raise ConfigError(f"{target}: is a file, expected a folder or a free name; choose another.")
        names = sorted(path.name for path in target.iterdir()) if target.exists() else []
    refuse_unwritable(target, name=target)
    for name in names:
        if not any(fnmatch(name, pattern) for pattern in ours):
            raise ConfigError(
                f"{target}: holds {name!r}, which this command did not write and does not delete; "
                "move it away, or choose another folder."
            )


def refuse_unwritable(target: Path, *, name: Path) -> None:
    """Refuses a folder to be made where nothing can be: the nearest folder above it that is there decides.

    Args:
        target: the folder to be made.
        name: what the user calls it.

    Raises:
        ConfigError: names both.
    """
    with output_errors(name):
        ground = next(parent for parent in target.absolute().parents if parent.exists())
        writable = ground.is_dir() and os.access(ground, os.W_OK | os.X_OK)
    if not writable:
        raise ConfigError(f"{name}: nothing can be written in {str(ground)!r}; choose another folder.")


def install_folder(temporary: Path, target: Path, *, replace: bool | None = None) -> None:
    """Flush a finished folder to the disk and give it its name in one step.

    Args:
        temporary: folder beside ``target``, from `staging_folder`; after a replacement it is the old one.
        target: the final name.
        replace: exchange with the folder that stands there; False: ``target`` must be free; None: if one is there.

    Raises:
        ConfigError: ``target`` is taken, or cannot be written.
        ResourceError: the disk is full or failing; ``target`` is unchanged.
    """
    with output_errors(target):
        _fsync_tree(temporary)
        if target.exists() if replace is None else replace:
            _exchange(temporary, target)
        else:
            temporary.rename(target)
    _confirm(target)


def open_folder(path: Path) -> int:
    """File descriptor of a folder, for reading with ``dir_fd``: a later replacement does not change it.

    Where a writer died between the two renames that stand for an exchange, this is the folder it had set
    aside, so a reader needs no right to write.

    Raises:
        OSError: there is no such folder.
    """
    for candidate in chain([path], _siblings(path, "old"), [path]):
        with suppress(FileNotFoundError):
            return os.open(candidate, os.O_RDONLY | os.O_DIRECTORY)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def close(handle: int) -> None:
    """Closes a descriptor that nothing was written through, so that what may fail in it concerns nobody."""
    with suppress(OSError):
        os.close(handle)


def clear_leftovers(target: Path) -> None:
    """Remove what dead writers of ``target`` left beside it, and bring back a folder they had set aside."""
    for aside in _siblings(target, "old"):
        if target.exists():
            _remove_folder(aside)
        else:
            with suppress(OSError):  # another writer was quicker, or readers go on using it where it is
                aside.rename(target)
    for leftover in _siblings(target, "tmp"):
        _remove_if_unheld(leftover)


def _fsync_folder(folder: Path) -> None:
    """Make the names in a folder, such as a rename just done, survive a power cut."""
    try:
        _fsync(folder)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:  # some network file systems keep no such promise
            raise


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` of the block into the error of ours that names ``path`` and says what to do."""
    try:
        yield
    except OSError as error:
        raise _translated(path, error) from error


@contextmanager
def _body_errors(path: Path, temporary: Path) -> Iterator[None]:
    """Translate what writing to ``temporary`` raises; other errors of the caller's block are its own."""
    try:
        yield
    except OSError as error:
        if _concerns(temporary, error):
            raise _translated(path, error) from error
        raise
    except (ConfigError, ResourceError) as error:  # of a file that was written into a folder
        if str(temporary) in (message := str(error)):
            raise type(error)(message.replace(str(temporary), str(path))) from error
        raise


def _concerns(temporary: Path, error: OSError) -> bool:
    if error.filename is None:  # a failed write does not say to which file
        return error.errno in _DISK_ERRORS
    return isinstance(error.filename, str) and Path(error.filename).is_relative_to(temporary)


def _confirm(target: Path) -> None:
    """Flush the new name; too late to change anything, so a failure is told for what it is."""
    try:
        _fsync_folder(target.parent)
    except OSError as error:
        raise ResourceError(
            f"{target}: written, but the disk does not confirm it ({error.strerror}), so that a power cut may "
            "undo it. Check the disk, and run again."
        ) from error


def _translated(path: Path, error: OSError) -> TsforecastError:
    reason = error.strerror or str(error)
    if error.errno in _DISK_ERRORS:
        return ResourceError(
            f"{path}: not written, the disk is full or failing ({reason}); what was there before is "
            "unchanged. Free some space or choose another disk, and run again."
        )
    return ConfigError(
        f"{path}: cannot be written ({reason}); choose a place that is free and that you may write to."
    )


def _check_file_target(target: Path) -> None:
    if target.is_dir():
        raise ConfigError(f"{target}: is a folder where a file is to be written; name a file in it.")
    if target.exists() and not target.is_file():
        raise ConfigError(f"{target}: is a device or a pipe, not a file; name a file, or use '-' for stdout.")
    if not target.parent.is_dir():
        raise ConfigError(
            f"{target}: there is no folder {str(target.parent)!r}; create it, or choose another place."
        )


def _claim(target: Path, create: Callable[[Path], int]) -> tuple[Path, int]:
    """A new locked sibling of ``target`` and the descriptor that holds its lock."""
    while True:
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(_TOKEN_BYTES)}.tmp")
        handle = create(temporary)
        try:
            # A writer that tidies up may have come between creation and lock, and taken it for a leftover.
            if _lock(handle) is not False and _is_at(handle, temporary):
                return temporary, handle
        except OSError:
            _remove(temporary)
            close(handle)
            raise
        close(handle)


def _create_file(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)


def _create_folder(path: Path) -> int:
    path.mkdir()
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


def _lock(handle: int) -> bool | None:
    """Whether the lock was got; None where the file system has no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except FileNotFoundError:
        return False


def _siblings(target: Path, suffix: str) -> Iterator[Path]:
    """Our dot-named siblings of ``target``; the token keeps names like ``.<name>.my.tmp`` safe."""
    pattern = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{{2 * _TOKEN_BYTES}}}\.{suffix}")
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(target.parent) as entries:
        yield from (Path(entry.path) for entry in entries if pattern.fullmatch(entry.name))


def _remove_if_unheld(leftover: Path) -> None:
    try:
        handle = os.open(leftover, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # gone already, or not ours to touch
        return
    try:
        if _lock(handle):
            _remove(leftover)
    finally:
        close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        _remove_folder(path)
    else:
        path.unlink(missing_ok=True)


def _remove_folder(folder: Path) -> None:
    """As far as that is possible; what is left the next writer removes."""
    with suppress(OSError):  # a look that fails is raised even with ignore_errors
        shutil.rmtree(folder, ignore_errors=True)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        close(handle)


def _fsync_tree(folder: Path) -> None:
    for parent, _, names in os.walk(folder):
        for name in names:
            _fsync(Path(parent, name))
        _fsync_folder(Path(parent))


def _exchange(temporary: Path, target: Path) -> None:
    try:
        _exchange_in_one_step(temporary, target)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
        _exchange_in_two_steps(temporary, target)


def _exchange_in_one_step(first: Path, second: Path) -> None:
    """Swap two names atomically: Linux only, and not on every file system."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(first), None, str(second))


def _exchange_in_two_steps(temporary: Path, target: Path) -> None:
    """Set the old folder aside under a name `open_folder` knows, then move the new one in."""
    aside = temporary.with_suffix(".old")
    target.rename(aside)
    try:
        temporary.rename(target)
    except OSError:
        aside.rename(target)
        raise
    _remove_folder(aside)
