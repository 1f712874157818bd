"""Storage for the state of trials, and checks that a folder can be written.

A storage is a folder of this machine or a URI, e.g. s3://bucket/folder; pyarrow and fsspec do the work.
"""

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

SECRETS = ("secret", "password", "token", "account_key")  # words that a recorded URI must not contain


@final
@dataclass(frozen=True)
class CheckpointStorage:
    """A folder or file in a storage, with the same name on every node; it is opened when used.

    Args:
        uri: an absolute path or a URI, such as s3://bucket/folder?region=eu-west-1; each node has its own credentials.
    """

    uri: str

    @classmethod
    def named(cls, text: str) -> "CheckpointStorage":
        """Return the storage of a user's path or URI.

        Raises:
            StoreError: no file system is known for the URI.
            StudyError: the URI contains credentials.
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
        """Return the file or folder of this name in this folder."""
        parts = _split(self.uri)
        path = f"{parts.path.rstrip('/')}/{name}"
        return CheckpointStorage(urlunsplit(parts._replace(path=path)) if parts.scheme else path)

    def write(self, content: bytes) -> None:
        """Write `content` to this file, completely or not at all, even if others write it too.

        Raises:
            OSError: it can't be written.
        """
        files, path = self._place()
        if not isinstance(files, fs.LocalFileSystem):
            with files.open_output_stream(path) as stream:  # the file appears when it is closed
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
        """Return the content of this file; None if it doesn't exist.

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
        """Return the names in this folder; none if there is no folder."""
        files, path = self._place()
        return sorted(found.base_name for found in files.get_file_info(fs.FileSelector(path, allow_not_found=True)))

    @contextmanager
    def fetched(self) -> Iterator[Path]:
        """Give this folder as a local path: itself, or a copy that is removed with the context.

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
        """Remove this folder if it exists.

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
    """Return the parts of a URI; a local path is all path, whatever characters it has."""
    return urlsplit(uri) if "://" in uri else SplitResult("", "", uri, "", "")


@cache
def _opened(scheme: str, place: str, query: str) -> tuple[fs.FileSystem, str]:
    """Return the file system of a bucket or host, and the root of its paths."""
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
    """Make the folder, and check that it can be written.

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
    """Check that the folder can be written, or made, without writing anything.

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
    """Remove at the end those folders of a path that didn't exist before and are still empty; do nothing for a URI."""
    path = Path(place).absolute()
    made = [] if "://" in place else [folder for folder in (path, *path.parents) if not folder.exists()]
    yield
    with suppress(OSError):
        for folder in made:
            folder.rmdir()
