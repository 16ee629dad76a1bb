"""The three secrets of an installation, kept apart from its data: vault key, cookie secret, checkpoint key."""

import binascii
import os
import secrets
import stat
from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from assistant.errors import ConfigurationError


@dataclass(frozen=True)
class Keys:
    """The secrets as loaded; never printed."""

    vault: bytes = field(repr=False)
    """Fernet key: what the vault's originals are encrypted with. Lost key, lost originals."""
    cookie: str = field(repr=False)
    """What signs the console's cookies."""
    checkpoint: Ed25519PrivateKey = field(repr=False)
    """What signs audit checkpoints."""
    checkpoints_dir: Path
    """Where signed checkpoints lie."""


def load_keys(folder: Path) -> Keys:
    """The keys of `folder`, made on first use (files 0600, folder 0700). Raises ConfigurationError with the remedy."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_foreign_hands(folder, stat.S_IWGRP | stat.S_IWOTH, "chmod 700")
        return Keys(
            vault=_vault_key(folder / "vault.key"),
            cookie=_cookie_secret(folder / "cookie.key"),
            checkpoint=_checkpoint_key(folder / "checkpoint.pem"),
            checkpoints_dir=folder / "checkpoints",
        )
    except OSError as error:
        raise ConfigurationError(
            f"keys_dir {folder} cannot be used: {error.strerror}; set ASSISTANT_KEYS_DIR"
        ) from error


def _vault_key(path: Path) -> bytes:
    key = _read_or_make(path, Fernet.generate_key)
    try:
        fits = len(urlsafe_b64decode(key)) == 32
    except binascii.Error:
        fits = False
    if not fits:
        raise ConfigurationError(f"{path} is not a Fernet key: restore it from a copy")
    return key


def _cookie_secret(path: Path) -> str:
    secret = _read_or_make(path, lambda: secrets.token_urlsafe(32).encode())
    if len(secret) < 32 or not secret.isascii():
        raise ConfigurationError(f"{path} is too short for a cookie secret: delete it, and a new one will be made")
    return secret.decode("ascii")


def _checkpoint_key(path: Path) -> Ed25519PrivateKey:
    pem = _read_or_make(path, _new_checkpoint_key)
    try:
        key = load_pem_private_key(pem, password=None)
    except ValueError:
        key = None  # said below, with the case of another kind of key
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{path} is not an Ed25519 private key in PEM: restore it from a copy")
    return key


def _new_checkpoint_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _read_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of a key file. Made under another name and linked, so that two processes agree on one key."""
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
            out.write(make())
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first: its key counts
        finally:
            draft.unlink()
    _refuse_foreign_hands(path, stat.S_IRWXG | stat.S_IRWXO, "chmod 600")
    return path.read_bytes().strip()


def _refuse_foreign_hands(path: Path, forbidden: int, remedy: str) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & forbidden:
        raise ConfigurationError(f"{path} is open to other users (mode {mode:03o}): run `{remedy} {path}`")
