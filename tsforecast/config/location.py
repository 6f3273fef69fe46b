"""What `data.path` may be: the standard input, files, a database or a remote file; and its URL without secrets.

A secret need not stand in a config: `${NAME}` in a URL is put in when the source is opened, and never kept.
One that does stand there is shown and stored as `***`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import quote, unquote

__all__ = [
    "DATABASES",
    "HIDDEN",
    "REMOTES",
    "STDIN",
    "Kind",
    "Resolved",
    "is_url",
    "kind_of",
    "resolved",
    "with_file_below",
    "without_secrets",
]

Kind: TypeAlias = Literal["stdin", "files", "database", "remote"]

STDIN = "-"
HIDDEN = "***"

# Schemes that are read with SQLAlchemy. Its drivers are named behind a plus: postgresql+psycopg.
DATABASES = (
    *("bigquery", "clickhouse", "databricks", "duckdb", "mariadb", "mssql", "mysql", "oracle"),
    *("postgres", "postgresql", "redshift", "snowflake", "sqlite", "trino"),
)
# Schemes that are read with fsspec, and the package that brings each of them. None of them reads a local file.
REMOTES = {
    "abfs": "adlfs",
    "az": "adlfs",
    "ftp": "fsspec",
    "gcs": "gcsfs",
    "gs": "gcsfs",
    "hdfs": "pyarrow",
    "hf": "huggingface_hub",
    "http": "aiohttp",
    "https": "aiohttp",
    "memory": "fsspec",
    "s3": "s3fs",
    "s3a": "s3fs",
    "sftp": "paramiko",
    "smb": "smbprotocol",
    "webhdfs": "requests",
}

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# One slash as well: a path that was taken for a file has lost the other.
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<slashes>/{1,3})(?P<rest>.*)", re.DOTALL)
_URL_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/{1,3}\S+")
_REFERENCE = re.compile(r"\$\{(\w+)\}")
_REFERENCES = re.compile(r"(?:\$\{\w+\})+")
# SQLAlchemy takes the first @ for the end of a password; one that was left raw in it is covered as well.
_LOGIN = re.compile(r"(?P<user>[^:/@]*):(?P<password>(?:\$\{\w+\})+|[^@]*(?:@[^?#]*)?)(?=@)", re.DOTALL)
_PORT = re.compile(r"[^:@]*(:(\d*|\$\{\w+\}))?|\[[^\]]*\](:\d*)?")
_PARAMETER = re.compile(r"(?P<start>[?&;#])(?P<name>[^=&;#]*=)?(?P<value>[^&;#'\"\s]*)")
_SECRET_NAME = re.compile(
    r"pass|pwd|secret|token|(?<!ssl)key|signature|^sig=|credential|auth|session|^sas|^code=|jwt|odbc_connect",
    re.IGNORECASE,
)
_RANDOM = re.compile(r"(?!\d{4}-\d\d)(?=.*\d)(?=.*[A-Za-z])[\w.~%+/-]{20,}=*")
_SHORTEST_HIDDEN = 3  # letters; a shorter value stands in too many words


@dataclass(frozen=True, slots=True, repr=False)
class Resolved:
    """A URL with what its references stand for; never shown, logged or stored.

    Attributes:
        url: to open.
        hidden: what to write instead of each text that no message may hold.
    """

    url: str
    hidden: Mapping[str, str]

    def scrubbed(self, message: str) -> str:
        """A message of another library without the secrets of this URL."""
        for secret in sorted(self.hidden, key=len, reverse=True):
            message = message.replace(secret, self.hidden[secret])
        return without_secrets(message)


def is_url(path: str) -> bool:
    """Whether a path begins with a scheme such as `https://`."""
    return _SCHEME.match(path) is not None


def kind_of(path: str) -> Kind:
    """What a path names.

    Raises:
        ValueError: a URL with a scheme that is not read.
    """
    if path == STDIN:
        return "stdin"
    match = _SCHEME.match(path)
    if match is None:
        return "files"
    scheme = match[1].lower()
    if scheme.partition("+")[0] in DATABASES:
        return "database"
    if scheme in REMOTES and "::" not in path:
        return "remote"
    advice = "write the path of a file as it is" if scheme in ("file", "local") else "name one of these"
    raise ValueError(
        f"{without_secrets(path)!r} is not of a kind that is read (databases: {', '.join(DATABASES)}; "
        f"remote files: {', '.join(REMOTES)}); {advice}"
    )


def without_secrets(text: str) -> str:
    """A text in which the secrets of URLs are `***`; `${NAME}` stays, for it is none.

    Of a database the password is secret, of a web address also the user, which may be a token. Parameters are
    judged by their names, and of remote files by their looks.
    """
    if ":/" not in text:
        return text
    if is_url(text):
        return _replaced(text, _hidden)
    return _URL_IN_TEXT.sub(lambda match: _replaced(match[0], _hidden), text)


def resolved(path: str, *, environ: Mapping[str, str] | None = None) -> Resolved:
    """A URL with `${NAME}` replaced by the environment's values, which are written as they are, not quoted.

    Raises:
        ValueError: a variable is not set, or a secret was left out when the config was stored.
    """
    environ = os.environ if environ is None else environ
    if HIDDEN in path:
        raise ValueError(
            f"a secret was left out where {HIDDEN} stands; write ${{NAME}} there and set that variable"
        )
    hidden: dict[str, str] = {}

    def value_of(match: re.Match[str]) -> str:
        if match[1] not in environ:
            raise ValueError(f"the environment variable {match[1]!r} is not set; set it")
        value = environ[match[1]]
        for form in (value, quote(value, safe="")):
            hidden[form] = match[0]
        return quote(value, safe="") if _is_quoted(path, match.start()) else value

    url = _REFERENCE.sub(value_of, path)

    def noted(secret: str) -> str:
        for form in (secret, unquote(secret)):
            hidden.setdefault(form, HIDDEN)
        return secret

    _replaced(path, lambda secret: secret if _REFERENCES.fullmatch(secret) else noted(secret))
    return Resolved(url, {text: shown for text, shown in hidden.items() if len(text) >= _SHORTEST_HIDDEN})


def with_file_below(path: str, base: Path) -> str:
    """The URL of a database that is a file, its relative path from a folder on; any other as it is."""
    match = re.fullmatch(r"((?:sqlite|duckdb)(?:\+\w+)?:///)(?!/|:memory:|file:|\$|\?|$)([^?]*)(.*)", path)
    return path if match is None else match[1] + os.path.normpath(base.resolve() / match[2]) + match[3]


def _is_quoted(path: str, position: int) -> bool:
    """Whether a value at this place of a URL is percent-encoded: in the login, and as value of a parameter."""
    match = _URL.fullmatch(path)
    if match is None:
        return False
    login_end = match.start("rest") + _login_length(match["scheme"], match["rest"])
    return position < login_end or ("?" in path[login_end:position] and path[position - 1] == "=")


def _replaced(url: str, change: Callable[[str], str]) -> str:
    """A URL with its secret parts changed."""
    match = _URL.fullmatch(url)
    if match is None:
        return url
    scheme, rest = match["scheme"].lower(), match["rest"]
    length = _login_length(scheme, rest)
    is_database = scheme.partition("+")[0] in DATABASES
    user, colon, password = rest[:length].partition(":")
    if user and scheme in ("http", "https"):
        user = change(user)
    login = user + colon + (change(password) if password else "")

    def parameter(found: re.Match[str]) -> str:
        name, value = found["name"] or "", found["value"]
        secret = _SECRET_NAME.search(name) or (not is_database and _RANDOM.fullmatch(value))
        return found["start"] + name + (change(value) if secret and value else value)

    tail = _PARAMETER.sub(parameter, rest[length:])
    return f"{match['scheme']}:{match['slashes']}{login}{tail}"


def _login_length(scheme: str, rest: str) -> int:
    """Length of `user:password` in what follows the slashes, 0 without."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    is_database = scheme.lower().partition("+")[0] in DATABASES
    # A slash in a password ends the authority early; what follows its colon is then no port.
    if (is_database or not _PORT.fullmatch(authority)) and (match := _LOGIN.match(rest)):
        return match.end()
    return max(authority.rfind("@"), 0)


def _hidden(secret: str) -> str:
    return secret if _REFERENCES.fullmatch(secret) else HIDDEN
