"""The secrets of an installation: made once, private, and refused when others can read them."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from assistant.adapters.keys import load_keys
from assistant.errors import ConfigurationError


def test_first_use_makes_private_keys(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "keys"
    keys = load_keys(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {
        "vault.key": 0o600,
        "cookie.key": 0o600,
        "checkpoint.pem": 0o600,
    }
    sealer = Fernet(keys.vault)
    assert sealer.decrypt(sealer.encrypt(b"original")) == b"original"
    keys.checkpoint.public_key().verify(keys.checkpoint.sign(b"head"), b"head")
    assert keys.checkpoints_dir == folder / "checkpoints"


def test_later_use_finds_the_same_keys(tmp_path: Path) -> None:
    first, second = load_keys(tmp_path / "keys"), load_keys(tmp_path / "keys")
    assert (first.vault, first.cookie) == (second.vault, second.cookie)
    assert first.checkpoint.private_bytes_raw() == second.checkpoint.private_bytes_raw()


def test_two_installations_share_nothing(tmp_path: Path) -> None:
    first, second = load_keys(tmp_path / "a"), load_keys(tmp_path / "b")
    assert first.vault != second.vault
    assert first.cookie != second.cookie


def test_workers_that_start_together_agree_on_the_keys(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(load_keys, [tmp_path / "keys"] * 8))
    assert len({(keys.vault, keys.cookie, keys.checkpoint.private_bytes_raw()) for keys in found}) == 1
    assert len(list((tmp_path / "keys").iterdir())) == 3


@pytest.mark.parametrize("name", ["vault.key", "cookie.key", "checkpoint.pem"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, name: str, mode: int) -> None:
    load_keys(tmp_path / "keys")
    path = tmp_path / "keys" / name
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"chmod 600 .*{name}"):
        load_keys(tmp_path / "keys")
    path.chmod(0o600)
    load_keys(tmp_path / "keys")


def test_a_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    load_keys(tmp_path / "keys")
    (tmp_path / "keys").chmod(0o770)
    with pytest.raises(ConfigurationError, match="chmod 700"):
        load_keys(tmp_path / "keys")


@pytest.mark.parametrize("name", ["vault.key", "cookie.key", "checkpoint.pem"])
@pytest.mark.parametrize("content", [b"", b"not a key", b"\xff\xfe" * 40])
def test_a_damaged_key_is_named_with_the_remedy(tmp_path: Path, name: str, content: bytes) -> None:
    load_keys(tmp_path / "keys")
    (tmp_path / "keys" / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"{name} is .*: (restore|delete)"):
        load_keys(tmp_path / "keys")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="ASSISTANT_KEYS_DIR"):
        load_keys(tmp_path / "file" / "keys")


def test_keys_are_not_shown_when_printed(tmp_path: Path) -> None:
    keys = load_keys(tmp_path / "keys")
    assert keys.vault.decode() not in repr(keys)
    assert keys.cookie not in repr(keys)
