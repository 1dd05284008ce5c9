"""What a document may say of a service: everything else is refused when it is loaded, by file and line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from support.rest.described import BY_ID, FULL, MARKED, MARKED_BY_ID

from secretsync_core.errors import DocumentError
from secretsync_core.schema.loader import load_files
from secretsync_core.stores.rest.config import HttpConfig
from secretsync_core.stores.rest.place import declared_place

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "apiVersion: secretsync.io/v1alpha1\nkind: SecretStore\nmetadata: {name: svc}\nspec:\n  provider:\n    http:\n"


def _text(base: dict[str, Any], **given: Any) -> str:
    """A document, an operation in each line."""
    whole: dict[str, Any] = {"address": "https://svc.example.com/api", **base}
    for name, part in given.items():
        both = isinstance(part, dict) and isinstance(whole.get(name), dict) and name != "vars"
        whole[name] = {**whole[name], **part} if both else part
    whole["auth"] = {"token": {"env": "TOKEN"}, **given.get("auth", {})}
    return HEAD + "".join(f"      {name}: {json.dumps(part)}\n" for name, part in whole.items() if part is not None)


def _problem(tmp_path: Path, text: str) -> tuple[str, str]:
    """What is wrong with a document, and which line of it that is about."""
    file = tmp_path / "store.yaml"
    file.write_text(text)
    with pytest.raises(DocumentError) as refused:
        load_files([file])
    problem = refused.value.problems[0]
    return problem.message, text.split("\n")[problem.line - 1].strip().partition(":")[0]


def _config(base: dict[str, Any], **given: Any) -> HttpConfig:
    section = yaml.safe_load(_text(base, **given))["spec"]["provider"]["http"]
    return HttpConfig.model_validate_json(json.dumps(section))


def test_whole_documents_are_taken(tmp_path: Path) -> None:
    """Without a warning, and without a request."""
    for number, base in enumerate((FULL, BY_ID, MARKED, MARKED_BY_ID)):
        file = tmp_path / f"{number}.yaml"
        file.write_text(_text(base))
        assert list(load_files([file]).warnings) == []


@pytest.mark.parametrize(
    ("given", "where", "what"),
    [
        # placeholders
        ({"look": {"path": "/x/{{ tema }}/{{ key }}"}}, "look", "unknown placeholder; placeholders there are: key"),
        ({"list": {"path": "/x/{{ key }}"}}, "list", "path cannot have {{ key }}"),
        ({"create": {"headers": {"If-None-Match": "{{ key }}"}}}, "create", "headers cannot have {{ key }}"),
        ({"look": {"path": "/x/{{ key"}}, "look", "a placeholder is {{ name }}"),
        ({"update": {"body": {"{{ value }}": "{{ value }}"}}}, "update", "the name of a field in body cannot have"),
        ({"look": {"query": {"c": "{{ cursor }}"}}, }, "look", "query cannot have {{ cursor }}"),
        ({"vars": {"value": "x", "team": "web"}}, "vars", "a var's name is"),
        # the value stands in no address and in no header
        ({"update": {"path": "/x/{{ value }}"}}, "update", "path cannot have {{ value }}"),
        ({"update": {"query": {"v": "{{ value }}"}}}, "update", "query cannot have {{ value }}"),
        ({"update": {"headers": {"X-V": "{{ value }}"}}}, "update", "headers cannot have {{ value }}"),
        ({"update": {"body": {"x": 1}}}, "update", "body has no {{ value }}"),
        ({"delete": {"body": {"x": 1}}}, "delete", "DELETE is sent without a body"),
        # paths
        ({"look": {"path": "x/{{ key }}"}}, "look", "a path begins with '/'"),
        ({"look": {"path": "//evil.example/{{ key }}"}}, "look", "a path has no empty part"),
        ({"look": {"path": "/a/../{{ key }}"}}, "look", "a path has no empty part"),
        ({"look": {"path": "/a?x={{ key }}"}}, "look", "a path has no empty part"),
        ({"look": {"path": "/a%2e%2e/{{ key }}"}}, "look", "a path has no empty part"),
        ({"look": {"path": "/a\\b/{{ key }}"}}, "look", "a path has no empty part"),
        ({"look": {"path": "/a b/{{ key }}"}}, "look", "a path has no empty part"),
        ({"vars": {"team": ".."}}, "list", "a var that cannot stand in a path"),
        ({"vars": {"team": "a/b"}}, "list", "a var that cannot stand in a path"),
        ({"vars": {"team": ".web"}, "look": {"path": "/.{{ team }}/{{ key }}"}}, "look", "a var that cannot stand"),
        ({"vars": {"team": "a\nb"}}, "vars", "a var is one line of text"),
        ({"address": "https://svc.example.com/a/../b"}, "address", "invalid format"),
        ({"address": "https://user:pw@svc.example.com"}, "address", "invalid format"),
        # headers and parameters
        ({"headers": {"Host": "evil.example"}}, "headers", "how a request is sent"),
        ({"headers": {"X-HTTP-Method-Override": "DELETE"}}, "headers", "how a request is sent"),
        ({"headers": {"Authorization": "Bearer x"}}, "headers", "give it by auth"),
        ({"headers": {"X-Any": "ghp_0123456789abcdefABCDEF0123456789abcd"}}, "headers", "give it by auth"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, "headers", "printable ASCII in one line"),
        ({"headers": {"X A": "a"}}, "headers", "the name of a header"),
        ({"headers": {"x-a": "1", "X-A": "2"}}, "headers", "a header is given twice"),
        ({"look": {"headers": {"authorization": "x"}}}, "look", "give it by auth"),
        ({"look": {"query": {"access_token": "x"}}}, "look", "give it by auth"),
        ({"look": {"query": {"a&b": "x"}}}, "look", "the name of a parameter"),
        ({"auth": {"header": "Host"}}, "auth", "no credential is sent in this header"),
        ({"auth": {"header": "X-Mine"}, "headers": {"x-mine": "1"}}, "http", "headers has the header of auth"),
        ({"auth": {"prefix": "Bearer\r\nX: "}}, "auth", "invalid format"),
        ({"vars": {"team": 10**15}}, "vars", "15 digits"),
        ({"update": {"body": {"v": "{{ value }}", "n": 10**16}}}, "update", "15 digits"),
        # answers
        ({"look": {"version": "$..etag"}}, "look", "it is no path such as"),
        ({"look": {"version": "$.a[?(@.b)]"}}, "look", "it is no path such as"),
        ({"look": {"version": "$.a[*]"}}, "look", "it may find one thing alone"),
        ({"list": {"items": "$.secrets"}}, "list", "items has no [*]"),
        ({"list": {"next": None}}, "list", "next.cursor and {{ cursor }}"),
        ({"list": {"version": None}}, "http", "all of list, look and read that are given show a version"),
        ({"look": {"absent": [200]}}, "look", "at least 400"),
        ({"look": {"expect": [404]}}, "look", "at most 299"),
        ({"list": None, "look": None, "read": None, "delete": None}, "http", "create and update need look or list"),
        ({"update": None}, "http", "create and update go together"),
        ({"write": {"path": "/{{ key }}", "body": "{{ value }}"}}, "http", "give write, or create and update"),
        ({"delete": {"path": "/by-id/{{ id }}"}}, "http", "list says not where an answer has it: give its id"),
        ({"keys": {"pattern": "("}}, "keys", "no regular expression"),
        # what only looks changes nothing, whatever a document says
        ({"list": {"method": "DELETE"}}, "list", "unknown field"),
        ({"look": {"body": {"x": 1}}}, "look", "unknown field"),
        ({"update": {"method": "GET"}}, "update", "must be"),
        # marks
        ({"update": {"path": "/x/{{ mark }}"}}, "update", "path cannot have {{ mark }}"),
        ({"create": {"headers": {"X-V": "{{ mark }}"}}}, "create", "headers cannot have {{ mark }}"),
        ({"create": {"body": {"{{ mark }}": "{{ value }}"}}}, "create", "the name of a field in body cannot have"),
        ({"delete": {"method": "POST", "body": {"x": "{{ mark }}"}}}, "delete", "body cannot have {{ mark }}"),
        ({"mark": {"path": "/{{ key }}", "body": "{{ mark }}{{ value }}"}}, "mark", "body cannot have {{ value }}"),
        ({"mark": {"path": "/x/{{ key }}", "body": {"x": "y"}}}, "mark", "body has no {{ mark }}"),
        ({"mark": MARKED["mark"]}, "http", "there is no list.mark, where an answer has it; no look.mark"),
        ({"list": {"mark": "$.comment"}}, "http", "no {{ mark }} in the body of create"),
        ({"create": MARKED["create"]}, "http", "no mark, the request that marks what is taken over"),
        ({"read": {"mark": "$.comment"}}, "http", "give mark to list and look, and not to read"),
        ({"vars": {"mark": "x", "team": "web"}}, "vars", "a var's name is"),
        # a filter is no filter for a request by the key
        ({"list": {"where": {"$.env": "prod"}}}, "http", "leave out look"),
        ({"list": {"where": {"$.env": "p"}}, "look": None, "read": None}, "http", "update has to name one by {{ id }}"),
        # no machine's own credentials
        ({"address": "http://169.254.169.254/latest"}, "address", "own credentials"),
        ({"address": "http://0xa9fea9fe/latest"}, "address", "own credentials"),
        ({"address": "http://[fe80::1]/"}, "address", "own credentials"),
        ({"address": "http://[::ffff:169.254.169.254]/"}, "address", "own credentials"),
        ({"address": "http://metadata.google.internal./computeMetadata"}, "address", "own credentials"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_by_its_line(tmp_path: Path, given: dict[str, Any], where: str, what: str) -> None:
    """An error says which operation it is, and what to write; it quotes nothing that may be a credential."""
    message, line = _problem(tmp_path, _text(FULL, **given))
    assert what in message
    assert line == where
    assert not any(told in message for told in ("ghp_", "evil", "pw@"))


def test_a_place_is_the_path_with_what_is_constant() -> None:
    """Two documents for one service are one place or two by their paths, parameters and filters alone."""

    def place(base: dict[str, Any] = FULL, **given: Any) -> str:
        return str(declared_place(_config(base, **given)))

    assert place() == "http https://svc.example.com:443/api teams/web/secrets/"
    assert place(vars={"team": "ops"}) == "http https://svc.example.com:443/api teams/ops/secrets/"
    assert place(list={"query": {"cursor": "{{ cursor }}", "env": "a b"}}).endswith("teams/web/secrets?env=a%20b/")
    assert place(BY_ID, list={"where": {"$.env": "prod"}}).endswith("teams/web/secrets[$.env=prod]/")
    assert place(list=None) == place()
    assert place(create={"body": {"name": "{{ key }}", "value": "{{ value }}", "more": 1}}) == place()


def test_a_pattern_that_is_none_is_written_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    """RE2 itself would write it to the standard error, whatever it is."""
    from secretsync_core.stores.rest.config import HttpKeys

    with pytest.raises(ValueError, match="no regular expression of RE2"):
        HttpKeys.model_validate({"pattern": "(Zq7CANARY"})
    assert "CANARY" not in "".join(capfd.readouterr())
