"""The machine's store of certificates, which no test needs: nothing here speaks TLS with anybody but itself.

To read it takes 20 ms of each client that is made, in thousands of tests. Files of tests and of SSL_CERT_FILE are read
as ever. Whoever trusts less refuses more: what a test shows to be refused or accepted stays so.
"""

import os
import ssl
from typing import Any

__all__ = ["leave_out_the_machines_store"]


def leave_out_the_machines_store() -> None:
    """For the rest of the process; once."""
    named = {name: os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
    paths = ssl.get_default_verify_paths()
    machines = (None, paths.openssl_cafile, paths.openssl_capath, paths.cafile, paths.capath, *named.values())
    load, load_default = ssl.SSLContext.load_verify_locations, ssl.SSLContext.load_default_certs

    def load_others(context: ssl.SSLContext, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
        if cadata is not None or cafile is capath is None or cafile not in machines or capath not in machines:
            load(context, cafile, capath, cadata)

    def load_named(context: ssl.SSLContext, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> None:
        if any(os.environ.get(name) not in (None, value) for name, value in named.items()):  # a test has named one
            load_default(context, purpose)

    ssl.SSLContext.load_verify_locations = load_others  # type: ignore[method-assign]
    ssl.SSLContext.load_default_certs = load_named  # type: ignore[method-assign]
