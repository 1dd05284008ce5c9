"""Places: which of them are one, and what a secret of one is called in another."""

from __future__ import annotations

import pytest

from secretsync_core.model.place import Place, alias_of, place_of_text, text_of

VAULT = Place("vault", "https://vault:8200", "secret/")


def test_a_server_is_known_by_what_it_calls_itself() -> None:
    """The same address with another identity is another server, and another address with the same one is not."""
    one, other = VAULT._replace(identity="a"), VAULT._replace(identity="b")
    assert not one.is_same(other)
    assert one.is_same(one._replace(server="https://alias:8200"))


def test_a_server_that_tells_no_identity_is_known_by_its_address() -> None:
    """Also beside one that tells."""
    assert VAULT.is_same(VAULT._replace(identity="a"))
    assert not VAULT.is_same(VAULT._replace(server="https://other:8200"))


def test_stores_of_two_services_have_nothing_in_common() -> None:
    """Their keys are not of one form."""
    other = VAULT._replace(service="file")
    assert not VAULT.overlaps(other)
    assert VAULT.key_at(other, "a") is None


@pytest.mark.parametrize(
    ("mine", "theirs", "key", "called"),
    [
        ("secret/", "secret/", "a/b", "a/b"),
        ("", "team/", "x", "team/x"),
        ("team/", "", "team/x", "x"),
        ("team/", "", "teams/x", None),
        ("team/", "", "team/", None),
        ("prod-", "", "prod-db", "db"),
        ("a/", "b/", "a/x", None),
    ],
)
def test_a_key_is_called_by_what_its_address_has_beyond_the_root(
    mine: str, theirs: str, key: str, called: str | None
) -> None:
    """A root within a root, and a prefix that is no folder, are the same question."""
    assert VAULT._replace(root=mine).key_at(VAULT._replace(root=theirs), key) == called


def test_a_root_within_a_root_overlaps() -> None:
    """In either direction; two that begin differently do not."""
    inner = VAULT._replace(root="secret/team/")
    assert VAULT.overlaps(inner)
    assert inner.overlaps(VAULT)
    assert not VAULT.overlaps(VAULT._replace(root="other/"))


@pytest.mark.parametrize("place", [VAULT, Place("file", "", '/srv/ä\n"x"/', "7")])
def test_a_place_is_read_from_its_text_as_it_was(place: Place) -> None:
    """In one line, whatever its path holds."""
    assert place_of_text(text_of(place)) == place
    assert "\n" not in text_of(place)


@pytest.mark.parametrize("text", ["", "[]", '["a"]', "{}", "[1,2,3,4]", "null", '["a","b","c",4]'])
def test_any_other_text_is_no_place(text: str) -> None:
    """None, and no error."""
    assert place_of_text(text) is None


def test_the_alias_of_an_id_is_no_id() -> None:
    """A cluster's id may be a credential that the server was sent; nothing stands for none."""
    uid = "bebf56b4-8257-2b06-2fc5-9b6600e1668c"
    assert uid not in alias_of(uid)
    assert alias_of(uid) == alias_of(uid) != alias_of(uid.replace("b", "c"))
    assert alias_of("") == ""


def test_a_bare_id_that_a_ledger_has_counts_as_untold() -> None:
    """Ledgers were kept so before there were aliases: the place is known by its address, and then gets its alias."""
    uid = "bebf56b4-8257-2b06-2fc5-9b6600e1668c"
    kept = place_of_text(text_of(VAULT._replace(identity=uid)))
    assert kept == VAULT
    assert kept.is_same(VAULT._replace(identity=alias_of(uid)))
