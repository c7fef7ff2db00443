"""Whom to trust, and who we are: the TLS settings that every transport shares."""

import os
import ssl
from functools import lru_cache

from dragoman.errors import ConfigError

from .reasons import reason_of

__all__ = ["FilePath", "add_files", "client_context"]

FilePath = str | os.PathLike[str]


def client_context(
    *,
    ca_file: FilePath | None = None,
    client_cert_file: FilePath | None = None,
    client_key_file: FilePath | None = None,
) -> ssl.SSLContext:
    """Trusts the system's store, which SSL_CERT_FILE and SSL_CERT_DIR replace, and `ca_file` besides. Takes 20 ms.

    Raises ConfigError for files that cannot be used. The plain context is shared by all who need no other.
    """
    if ca_file is None and client_cert_file is None and client_key_file is None:
        return _plain_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    context = _new_context()
    add_files(context, ca_file=ca_file, client_cert_file=client_cert_file, client_key_file=client_key_file)
    return context


def add_files(
    context: ssl.SSLContext,
    *,
    ca_file: FilePath | None = None,
    client_cert_file: FilePath | None = None,
    client_key_file: FilePath | None = None,
) -> None:
    """Trust the certificates of `ca_file`, and show that of `client_cert_file`; all in PEM form.

    The key may stand in the certificate's file, and must not be locked by a passphrase. Raises ConfigError.
    """
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as exc:  # ssl.SSLError is one
            raise ConfigError(f"ca_file {os.fspath(ca_file)!r}: {reason_of(exc)}") from exc
    if client_cert_file is not None:
        try:
            # Without a password OpenSSL would ask for one at the terminal.
            context.load_cert_chain(client_cert_file, client_key_file, password="")
        except (OSError, ValueError) as exc:
            files = repr(os.fspath(client_cert_file))
            if client_key_file is not None:
                files += f" with client_key_file {os.fspath(client_key_file)!r}"
            raise ConfigError(f"client_cert_file {files}: {reason_of(exc)}") from exc
    elif client_key_file is not None:
        raise ConfigError(f"client_key_file {os.fspath(client_key_file)!r}: there is no client_cert_file to it")


def _new_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


@lru_cache(maxsize=2)
def _plain_context(cert_file: str | None, cert_dir: str | None) -> ssl.SSLContext:
    return _new_context()  # OpenSSL looks at the two variables by itself; here they tell when they change
