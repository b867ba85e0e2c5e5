"""Tests of public origins and base paths, and of what the server says about the way to it from elsewhere."""

from __future__ import annotations

import random
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from yarl import URL

from nnviz3d.apps.web.base_path import below
from nnviz3d.apps.web.origins import Endpoint, PublicAddress, endpoint_of, endpoint_of_origin, public_address
from nnviz3d.apps.web.security import Gate
from nnviz3d.apps.web.server_environment import ServerEnvironment
from nnviz3d.errors import UserError

QUERY = "?secret=s"
HUB = {"JUPYTERHUB_SERVICE_PREFIX": "/user/anna/"}
WORDS = "localhost 127.0.0.1 [::1] evil hub.example http:// https:// ws:// 8080 443 null %2f \u017f xn-- 0x7f.1"
PARTS = [*WORDS.split(), *":./@?#%[]\\ ;,*'\"<>\x00\t\u2100\u3002"]
SSH = {"SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22", "USER": "anna"}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("https://hub.example", "https://hub.example"),
        ("https://Hub.Example:443/", "https://hub.example"),
        ("http://localhost:8888", "http://localhost:8888"),
        ("http://[::1]:8888", "http://[::1]:8888"),
        ("https://hüb.example", "https://xn--hb-xka.example"),
    ],
)
def test_origin_is_kept_as_browsers_send_it(text, kept):
    (origin,) = public_address((text,), None).origins
    assert str(origin) == kept
    assert endpoint_of_origin(kept) == origin.endpoint


@pytest.mark.parametrize(
    "text",
    [
        *("", "*", "hub.example", "https://", "https://*", "https://a b", "https://x@y", "https://h:x", "ftp://h"),
        *(
            "https://h;script-src *",
            "https://h/user/x",
            "https://h?x",
            "https://h#x",
            "https://[::1",
            "https://.",
            "null",
        ),
    ],
)
def test_odd_origin_is_refused_in_a_sentence(text):
    with pytest.raises(UserError, match=r"--origin .*expected a scheme and a host"):
        public_address((text,), None)


@pytest.mark.parametrize(
    ("text", "kept"),
    [("/user/x/proxy/8080", "/user/x/proxy/8080"), ("user/x/", "/user/x"), ("/", ""), ("/a%40b//c", "/a@b/c")],
)
def test_base_path_begins_with_a_slash_and_ends_without_one(text, kept):
    assert public_address((), text).base_path == kept


@pytest.mark.parametrize(
    "text", ["https://hub.example/x", "/a/../b", "/a?b", "/a#b", "/{x}", "/%0a", "/a\\b", "/%2541"]
)
def test_odd_base_path_is_refused_in_a_sentence(text):
    with pytest.raises(UserError, match=r"--base-path .* is no path of a proxy"):
        public_address((), text)


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("/a@b/c/x/y?z=%2F", "/x/y?z=%2F"),
        ("/a%40b/%63/", "/"),
        ("/a@b/c", ""),
        ("/a@b/c?z", "?z"),
        ("/a@b/cd/", None),
        ("/a@b%2Fc/x", None),
        ("//a@b/c/x", None),
        ("/", None),
    ],
)
def test_path_below_a_base_path(address, inside):
    found = below("/a@b/c", URL(address, encoded=True))
    assert (None if found is None else str(found)) == inside


def test_usual_ports_are_the_same_as_none():
    assert endpoint_of("Hub.example:443") == endpoint_of("hub.example") == Endpoint("hub.example", None)
    assert endpoint_of("[::1]:9000") == Endpoint("::1", 9000)


@pytest.mark.parametrize(
    ("environ", "arguments", "words"),
    [
        ({}, ((), None), ()),
        (SSH, ((), None), ("ssh -N -L 8080:localhost:8080 anna@192.0.2.2",)),
        ({**SSH, "SSH_CONNECTION": "::1 5 ::2 2222"}, ((), None), ("ssh -p 2222 -N -L 8080:localhost:8080 anna@::2",)),
        ({**SSH, "VSCODE_IPC_HOOK_CLI": "x"}, ((), None), ("VS Code forwards the port",)),
        (HUB, ((), None), ("--origin https://HUB", f"https://HUB/user/anna/proxy/8080/{QUERY}")),
        (HUB, (("https://h.example",), None), (f"https://h.example/user/anna/proxy/8080/{QUERY}",)),
        (
            {**HUB, "JUPYTERHUB_PUBLIC_URL": "https://h.example/user/anna/"},
            ((), None),
            (f"https://h.example/user/anna/proxy/8080/{QUERY}",),
        ),
        (
            {**SSH, "VSCODE_PROXY_URI": "https://c.example/proxy/{{port}}/"},
            ((), None),
            (f"https://c.example/proxy/8080/{QUERY}",),
        ),
        ({**SSH, "VSCODE_PROXY_URI": "https://{{port}}.{{host}}"}, ((), None), ("ssh",)),
        ({}, (("https://h.example",), "/x"), (f"https://h.example/x/{QUERY}",)),
        ({}, (("https://h.example",), None), (f"https://h.example/{QUERY}, with the proxy's own path",)),
        ({}, (("http://localhost:8888",), None), ()),
        ({"container": "podman"}, ((), None), ("docker run -p 8080:8080", "--host 0.0.0.0 --port 8080")),
        ({"container": "podman", "DISPLAY": ":0"}, ((), None), ()),
    ],
)
def test_instructions_say_what_to_type_elsewhere(tmp_path, environ, arguments, words):
    here = ServerEnvironment(environ, 8080, tmp_path)
    said = here.instructions("127.0.0.1", here.trusted(public_address(*arguments)), "s")
    assert len(said) == bool(words)
    for word in words:
        assert word in said[0]


def test_container_that_listens_outside_is_told_its_address(tmp_path):
    (tmp_path / ".dockerenv").touch()
    (said,) = ServerEnvironment({}, 8080, tmp_path).instructions("0.0.0.0", PublicAddress(), "s")
    assert said.endswith(f"-p 8080:8080: http://localhost:8080/{QUERY}")


def test_origins_of_the_environment_are_trusted_unless_they_are_odd():
    odd = ServerEnvironment(
        {"JUPYTERHUB_PUBLIC_URL": "https://a b/", "VSCODE_PROXY_URI": "./proxy/{{port}}"}, 1, Path()
    )
    assert odd.trusted(PublicAddress()) == PublicAddress()
    hub = ServerEnvironment({"JUPYTERHUB_PUBLIC_URL": "https://h.example/user/x/"}, 1, Path())
    assert hub.trusted(PublicAddress()) == public_address(("https://h.example",), None)


def with_headers(**headers: str) -> Any:
    """Return a stand-in for a request; a real one takes milliseconds to make."""
    return SimpleNamespace(headers=headers)


def test_random_hosts_are_let_in_only_by_their_known_names():
    draw = random.Random(0)
    gates = [Gate("127.0.0.1", 8080), Gate("127.0.0.1", 8080, public_address(("https://hub.example",), None))]
    names = (
        r"(localhost|127\.0\.0\.1|\[::1\])(:\d*)?",
        r"(localhost|127\.0\.0\.1|\[::1\])(:\d*)?|hub\.example(:0*(80|443)?)?",
    )
    counts = [0, 0]
    for _ in range(10_000):
        host = "".join(draw.choices(PARTS, k=draw.randrange(1, 5)))
        for number, gate in enumerate(gates):
            refusal = gate.refusal(with_headers(Host=host))
            if refusal is None:
                counts[number] += 1
                assert re.fullmatch(names[number], host), host
            else:
                assert (
                    re.sub("<(/?[a-z0-9]+|!doctype html|html lang=.*?|meta [^<>]*)>", "", refusal.page).count("<") == 0
                )
                assert all(
                    re.fullmatch(r"--origin http://[a-z0-9._:\[\]-]+|ssh [^']*", r.line) for r in refusal.remedies
                )
    assert min(counts) > 20


def test_random_origins_are_let_in_only_if_they_are_the_host_or_given():
    draw = random.Random(0)
    gate = Gate("127.0.0.1", 8080, public_address(("https://hub.example",), None))
    accepted = set()
    for _ in range(10_000):
        origin = "".join(draw.choices(PARTS, k=draw.randrange(1, 5)))
        if gate.refusal(with_headers(Host="localhost:8080", Origin=origin)) is None:
            accepted.add(origin)
    assert accepted
    assert all(re.fullmatch(r"https?://hub\.example", origin) for origin in accepted), accepted
    for scheme in ("http", "https"):
        assert gate.refusal(with_headers(Host="localhost:8080", Origin=f"{scheme}://localhost:8080")) is None


def test_random_options_are_read_or_refused_in_a_sentence():
    draw = random.Random(0)
    sentences: set[str] = set()
    for _ in range(5_000):
        text = "".join(draw.choices([*PARTS, "\ud800"], k=draw.randrange(0, 5)))
        for arguments in (((text,), None), ((), text)):
            try:
                found = public_address(*arguments)
            except UserError as error:
                sentences.add(str(error))
                continue
            assert all(re.fullmatch(r"https?://[a-z0-9._:\[\]-]+", str(origin)) for origin in found.origins), text
            assert re.fullmatch(r"(/[^/?#{}%\\]+)*", found.base_path), text
    assert all(len(sentence) < 500 and sentence.isprintable() for sentence in sentences)


def test_server_for_other_machines_lets_in_numeric_addresses_at_any_port_and_no_foreign_name():
    gate = Gate("0.0.0.0", 8080)
    for host in ("192.0.2.1:9000", "[2001:db8::1]", "localhost:9000"):
        assert gate.refusal(with_headers(Host=host, Origin=f"http://{host}")) is None
        assert gate.refusal(with_headers(Host=host, Origin="http://192.0.2.1:8080")) is not None
    for host in ("evil.example", "192.0.2.1.evil.example:8080", "192.0.2", "0x7f.1", "2130706433", "[fe80::1%25eth0]"):
        assert gate.refusal(with_headers(Host=host)) is not None
    assert Gate("127.0.0.1", 8080).refusal(with_headers(Host="192.0.2.1:8080")) is not None
