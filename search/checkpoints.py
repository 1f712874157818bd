"""Where trainers leave the state of trials, and whether a folder can be written.

A storage is a folder of this machine or a URI, e.g. s3://bucket/folder; pyarrow and fsspec do the work."""

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import final
from urllib.parse import SplitResult, urlsplit, urlunsplit

import fsspec
from pyarrow import ArrowInvalid, fs

from search.errors import StoreError, StudyError

SECRETS = ("secret", "password", "token", "account_key")  # no keys of a URI that is recorded


@final
@dataclass(frozen=True)
class CheckpointStorage:
    """A folder or a file: the same for every node that names it, and opened where it is used.

    Args:
        uri: an absolute path, or such as s3://bucket/folder?region=eu-west-1; credentials are each node's own.
    """

    uri: str

    @classmethod
    def named(cls, text: str) -> "CheckpointStorage":
        """CheckpointStorage of a user's words, a path of their own or a URI.

        Raises:
            StoreError: no file system is known for the URI, or there are credentials in it.
        """
        parts = _split(text)
        if "@" in parts.netloc:
            raise StudyError(
                "--checkpoints: credentials in a URI would be recorded with the search; give them to each node "
                "instead, as a role or in its environment"
            )
        if parts.fragment or any(word in parts.query.lower() for word in SECRETS):
            raise StudyError(
                "--checkpoints: expected a URI without '#' or secrets, which belong in each node's environment"
            )
        if not parts.scheme:
            return cls(str(Path(text).expanduser().resolve()))
        try:
            _opened(parts.scheme, parts.netloc, parts.query)
        except (ValueError, ImportError, OSError) as error:
            raise StoreError(f"--checkpoints {text}: {str(error).splitlines()[0]}") from error
        return cls(text.rstrip("/"))

    def at(self, name: str) -> "CheckpointStorage":
        """What is there under a name."""
        parts = _split(self.uri)
        path = f"{parts.path.rstrip('/')}/{name}"
        return CheckpointStorage(urlunsplit(parts._replace(path=path)) if parts.scheme else path)

    def write(self, content: bytes) -> None:
        """Make this a file of `content`, whole or not at all, whoever else may write it.

        Raises:
            OSError: it can't be written.
        """
        files, path = self._place()
        if not isinstance(files, fs.LocalFileSystem):
            with files.open_output_stream(path) as stream:  # appears when it is closed
                stream.write(content)
            return
        fresh = Path(f"{path}.{uuid.uuid4().hex}")
        fresh.parent.mkdir(parents=True, exist_ok=True)
        try:
            fresh.write_bytes(content)
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)

    def read(self) -> bytes | None:
        """What this file holds; None where there is none.

        Raises:
            OSError: it can't be read.
        """
        files, path = self._place()
        try:
            with files.open_input_stream(path) as stream:
                return bytes(stream.readall())
        except FileNotFoundError:
            return None

    def names(self) -> list[str]:
        """Names of what is in this folder; none where there is no folder."""
        files, path = self._place()
        return sorted(found.base_name for found in files.get_file_info(fs.FileSelector(path, allow_not_found=True)))

    @contextmanager
    def fetched(self) -> Iterator[Path]:
        """This folder as one of this machine: itself, or a copy that goes with the context.

        Raises:
            OSError: it can't be read.
        """
        files, path = self._place()
        if isinstance(files, fs.LocalFileSystem):
            yield Path(path)
            return
        with tempfile.TemporaryDirectory() as folder:
            fs.copy_files(path, folder, source_filesystem=files, destination_filesystem=fs.LocalFileSystem())
            yield Path(folder)

    def remove(self) -> None:
        """Remove this folder, if it is there.

        Raises:
            OSError: it can't be removed.
        """
        files, path = self._place()
        if files.get_file_info(path).type == fs.FileType.Directory:
            files.delete_dir(path)

    def _place(self) -> tuple[fs.FileSystem, str]:
        parts = _split(self.uri)
        files, root = _opened(parts.scheme, parts.netloc, parts.query)
        return files, root.rstrip("/") + parts.path


def _split(uri: str) -> SplitResult:
    """Parts of a URI; a path of a disk is all path, whatever letters it has."""
    return urlsplit(uri) if "://" in uri else SplitResult("", "", uri, "", "")


@cache
def _opened(scheme: str, place: str, query: str) -> tuple[fs.FileSystem, str]:
    """File system of a bucket or host, and the root of its paths."""
    if not scheme:
        return fs.LocalFileSystem(), ""
    uri = urlunsplit((scheme, place, "/" if scheme in ("file", "hdfs") else "", query, ""))
    try:
        files, root = fs.FileSystem.from_uri(uri)
    except ArrowInvalid as error:
        if "Unrecognized filesystem type" not in str(error):
            raise
        other, root = fsspec.core.url_to_fs(uri)
        files = fs.PyFileSystem(fs.FSSpecHandler(other))
    return files, str(root)


def writable(folder: Path) -> None:
    """Make the folder, and see that it can be written.

    Raises:
        StoreError: it can't be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(b"\0" * 2**20)
    except OSError as error:
        raise StoreError(f"store {folder}: can't write there ({error.strerror})") from error


def could_write(folder: Path) -> None:
    """See that the folder can be written, or made; without writing anything.

    Raises:
        StoreError: it can't be.
    """
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    why = "" if there.is_dir() else "Not a directory"
    if not why and not os.access(there, os.W_OK | os.X_OK):
        why = "Read-only file system" if os.statvfs(there).f_flag & os.ST_RDONLY else "Permission denied"
    if why:
        said = "" if there == folder else f": {there}"
        raise StoreError(f"store {folder}: can't write there ({why}{said})")


@contextmanager
def leaving_nothing(place: str) -> Iterator[None]:
    """Remove, at the end, what has become of a path's folders that weren't there, if nothing is in them; of no URI."""
    path = Path(place).absolute()
    made = [] if "://" in place else [folder for folder in (path, *path.parents) if not folder.exists()]
    yield
    with suppress(OSError):
        for folder in made:
            folder.rmdir()
