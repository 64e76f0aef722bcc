# SPDX-License-Identifier: Apache-2.0
"""Who may do what: tokens, roles, quotas, the audit log, and what never leaves."""
import json
import os
import signal
import stat
import subprocess
import time

import pytest

from conftest import ENVIRONMENT, run


@pytest.fixture
def tokens(deepsad, tmp_path):
    """tokens("kim", "label:fraud-*", ...): makes one in the file `tokens.path`; its text."""

    def make(name, *roles, options=()):
        words = [word for role in roles for word in ("--role", role)]
        done = run(deepsad, "token", "new", name, *words, "--file", make.path, "--json", *options)
        made = json.loads(done.stdout)
        make.ids[name] = made["id"]
        return made["token"]

    make.path, make.ids = tmp_path / "tokens", {}
    return make


@pytest.fixture
def guarded(daemon, make_model, tmp_path, tokens):
    """A daemon with models fraud-a and plant that asks for tokens: guarded(...) as daemon."""
    make_model(tmp_path / "models", "fraud-a", features=3)
    make_model(tmp_path / "models", "plant", features=3)

    def start(**settings):
        settings.setdefault("log__audit", tmp_path / "audit")
        return daemon(tmp_path / "models", access__tokens=tokens.path, **settings)

    return start


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def ask(server, token, method, path, body=None, **headers):
    return server.request(method, path, body, {**(bearer(token) if token else {}), **headers})


def audit(tmp_path):
    return [json.loads(line) for line in (tmp_path / "audit").read_text().splitlines()]


ROW = {"samples": [[1, 2, 3]]}
LABEL = {"labels": [{"features": [1, 2, 3], "verdict": "normal"}]}
CALLS = {  # what: (method, path with {m}, body, the roles that may)
    "score": ("POST", "/v1/models/{m}/score", ROW, {"score"}),
    "infer": ("POST", "/v2/models/{m}/infer",
              {"inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 3],
                           "data": [1, 2, 3]}]}, {"score"}),
    "model": ("GET", "/v1/models/{m}", None, {"score", "label", "operate"}),
    "versions": ("GET", "/v1/models/{m}/versions", None, {"score", "label", "operate"}),
    "metadata": ("GET", "/v2/models/{m}", None, {"score", "label", "operate"}),
    "stats": ("GET", "/v2/models/{m}/stats", None, {"score", "label", "operate"}),
    "verdict": ("POST", "/v1/models/{m}/labels", LABEL, {"label"}),
    "labels": ("GET", "/v1/models/{m}/labels", None, {"label"}),
    "review": ("GET", "/v1/models/{m}/review", None, {"label"}),
    "jobs": ("GET", "/v1/models/{m}/jobs", None, {"operate"}),
    "activate": ("POST", "/v1/models/{m}/versions/1/activate", None, {"operate"}),
    "release": ("POST", "/v1/models/{m}/release", None, {"operate"}),
    "load": ("POST", "/v2/repository/models/{m}/load", None, {"operate"}),
}


@pytest.mark.parametrize("role", ["score", "label", "operate", "admin"])
def test_a_role_may_do_its_own_calls_with_its_models_and_no_others(guarded, tokens, role):
    token = tokens("t", f"{role}:fraud-*")
    server = guarded()
    for what, (method, path, body, roles) in CALLS.items():
        own = ask(server, token, method, path.format(m="fraud-a"), body)
        allowed = role == "admin" or role in roles
        assert (own.status < 300) == allowed, (what, own.status, own.text)
        assert allowed or own.status == 403 and "insufficient_scope" in \
            own.headers["WWW-Authenticate"]
        other = ask(server, token, method, path.format(m="plant"), body)
        assert other.status == 403, (what, other.status)


def test_every_path_but_health_asks_for_a_token(guarded, tokens):
    tokens("t", "score")
    server = guarded()
    for path in ("/", "/metrics", "/v1/models", "/v2", "/v2/models/stats",
                 *(call[1].format(m="fraud-a") for call in CALLS.values())):
        method = next((c[0] for c in CALLS.values() if c[1].format(m="fraud-a") == path), "GET")
        answer = server.request(method, path, "{}" if method == "POST" else None)
        assert answer.status == 401, path
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="deepsad"'
    for path in ("/v2/health/live", "/v2/health/ready"):
        assert server.request("GET", path).status == 200


@pytest.mark.parametrize("header", [
    "Bearer", "Bearer ", "Bearer x", "Basic a2ltOmtpbQ==", "bearer deepsad__", "",
    "Bearer deepsad_000000000000_" + "A" * 43, "Bearer " + "A" * 4000])
def test_what_is_no_token_of_ours_is_refused(guarded, tokens, header):
    tokens("t", "score")
    server = guarded()
    answer = server.request("GET", "/v1/models", headers={"Authorization": header})
    assert answer.status == 401, answer.text
    assert "A" * 43 not in answer.text


def test_one_wrong_character_is_a_wrong_token(guarded, tokens):
    token = tokens("t", "score")
    server = guarded()
    assert ask(server, token, "GET", "/v1/models").status == 200
    for at in range(len(token)):
        wrong = token[:at] + ("x" if token[at] != "x" else "y") + token[at + 1:]
        assert ask(server, wrong, "GET", "/v1/models").status == 401, at
    for wrong in (token[:-1], token + "A", " " + token[1:], token.upper()):
        assert ask(server, wrong, "GET", "/v1/models").status == 401


def test_two_authorizations_are_refused(guarded, tokens):
    token = tokens("t", "score")
    server = guarded()
    got = server.raw(f"GET /v1/models HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n"
                     "Authorization: Bearer x\r\n\r\n".encode())
    assert got.startswith(b"HTTP/1.1 400 ")


def test_a_revoked_token_ends_with_the_reload_and_a_new_one_begins(guarded, tokens, deepsad):
    old = tokens("kim", "score")
    server = guarded()
    run(deepsad, "token", "revoke", "kim", "--file", tokens.path)
    new = tokens("lee", "score")
    assert ask(server, old, "GET", "/v1/models").status == 200
    assert ask(server, new, "GET", "/v1/models").status == 401
    server.signal(signal.SIGHUP)
    server.wait_for("reloaded")
    assert ask(server, old, "GET", "/v1/models").status == 401
    assert ask(server, new, "GET", "/v1/models").status == 200


def test_an_expired_token_is_refused(guarded, tokens):
    token = tokens("kim", "score", options=("--expires", "1s"))
    server = guarded()
    time.sleep(1.1)
    answer = ask(server, token, "GET", "/v1/models")
    assert answer.status == 401 and "expired" in answer.json["detail"]


@pytest.mark.parametrize("content, complaint", [
    ("{", ":1:1: "), ("", ":"), ('{"tokens": [{"id": "x"}]}', "token 0: "),
    ('{"tokens": 3}', "expected")])
def test_a_broken_file_stops_a_reload_and_the_old_tokens_stay(guarded, tokens, content,
                                                              complaint):
    token = tokens("kim", "score")
    server = guarded()
    tokens.path.write_text(content)
    server.signal(signal.SIGHUP)
    assert complaint in server.wait_for("reload failed")
    assert ask(server, token, "GET", "/v1/models").status == 200


def test_a_file_that_is_gone_opens_no_door(guarded, tokens):
    token = tokens("kim", "score")
    server = guarded()
    tokens.path.unlink()
    server.signal(signal.SIGHUP)
    assert "access.tokens" in server.wait_for("reload failed")
    assert server.request("GET", "/v1/models").status == 401
    assert ask(server, token, "GET", "/v1/models").status == 200


def test_a_file_that_others_may_write_is_refused(tokens, models, deepsadd, tmp_path):
    tokens("kim", "score")
    os.chmod(tokens.path, 0o666)
    done = refuse_start(deepsadd, models, tmp_path, access__tokens=tokens.path)
    assert "others than its owner may write it" in done.stderr


def refuse_start(deepsadd, models, tmp_path, *arguments, **settings):
    """A daemon that does not start; what it says."""
    variables = {f"DEEPSADD_{k.replace('__', '_').upper()}": str(v)
                 for k, v in settings.items()}
    done = subprocess.run([deepsadd, "--models", str(models), "--state", str(tmp_path / "s"),
                           *arguments], capture_output=True, text=True, timeout=60,
                          env={**ENVIRONMENT, **variables}, check=False)
    assert done.returncode == 1, done.stderr
    return done


# ---- Names ------------------------------------------------------------------------------

def test_a_verdict_bears_the_name_of_its_token(guarded, tokens):
    token = tokens("kim", "label")
    server = guarded()
    label = ask(server, token, "POST", "/v1/models/plant/labels", LABEL).json["labels"][0]
    listed = ask(server, token, "GET", "/v1/models/plant/labels").json["labels"]
    assert [(one["label_id"], one["analyst"]) for one in listed] == [(label["label_id"], "kim")]


def verdict_by(analyst):
    return {"labels": [LABEL["labels"][0], {**LABEL["labels"][0], "analyst": analyst}]}


def test_in_the_name_of_others_only_an_admin_judges(guarded, tokens):
    kim, ada = tokens("kim", "label"), tokens("ada", "admin")
    server = guarded()
    path = "/v1/models/plant/labels"
    assert ask(server, kim, "POST", path, verdict_by("kim")).status == 201
    refused = ask(server, kim, "POST", path, verdict_by("lee"))
    assert refused.status == 403 and refused.json["errors"][0]["pointer"] == \
        "#/labels/1/analyst"
    assert ask(server, ada, "POST", path, verdict_by("lee")).status == 201
    analysts = [one["analyst"] for one in ask(server, ada, "GET", path).json["labels"]]
    assert sorted(analysts) == ["ada", "kim", "kim", "lee"]


def test_only_an_admin_withdraws_what_others_said(guarded, tokens):
    kim, lee, ada = tokens("kim", "label"), tokens("lee", "label"), tokens("ada", "admin")
    server = guarded()
    path = "/v1/models/plant/labels"
    first, second = (ask(server, kim, "POST", path, LABEL).json["labels"][0]["label_id"]
                     for _ in range(2))
    assert ask(server, lee, "DELETE", f"{path}/{first}").status == 403
    assert ask(server, lee, "DELETE", f"{path}?analyst=kim").status == 403
    assert ask(server, lee, "DELETE", f"{path}/nothing").status == 404
    assert ask(server, kim, "DELETE", f"{path}/{first}").status == 200
    assert ask(server, ada, "DELETE", f"{path}/{second}").status == 200


def test_one_key_of_two_clients_is_two_keys(guarded, tokens):
    kim, lee = tokens("kim", "label"), tokens("lee", "label")
    server = guarded()
    path, key = "/v1/models/plant/labels", {"Idempotency-Key": "k1"}
    first = ask(server, kim, "POST", path, LABEL, **key)
    assert ask(server, kim, "POST", path, LABEL, **key).json == first.json
    assert ask(server, lee, "POST", path, LABEL, **key).status == 422


def test_lists_show_the_models_that_a_token_is_for(guarded, tokens):
    kim, ada = tokens("kim", "score:fraud-*"), tokens("ada", "admin")
    server = guarded()

    def names(token, method, path, pick):
        return sorted({one["name"] for one in pick(ask(server, token, method, path).json)})

    for method, path, pick in (("GET", "/v1/models", lambda j: j["models"]),
                               ("POST", "/v2/repository/index", lambda j: j),
                               ("GET", "/v2/models/stats", lambda j: j["model_stats"])):
        assert names(kim, method, path, pick) == ["fraud-a"]
        assert names(ada, method, path, pick) == ["fraud-a", "plant"]


def test_jobs_of_other_models_are_not_there(guarded, tokens):
    own, other = tokens("kim", "operate:plant", "label:plant"), tokens("lee", "operate:fraud-*")
    server = guarded()
    job = ask(server, own, "POST", "/v1/models/plant/retrain").json["job"]
    assert ask(server, other, "GET", f"/v1/jobs/{job}").status == 404
    assert ask(server, other, "DELETE", f"/v1/jobs/{job}").status == 404
    assert ask(server, own, "GET", f"/v1/jobs/{job}").status == 200


# ---- The network ------------------------------------------------------------------------

def test_without_tokens_only_this_machine_is_served(deepsadd, models, daemon, tmp_path):
    done = refuse_start(deepsadd, models, tmp_path, "--listen", "0.0.0.0:0")
    assert "server.listen" in done.stderr and "deepsad token new" in done.stderr
    done = refuse_start(deepsadd, models, tmp_path, "--listen", "[::]:0",
                        server__insecure="cleartext")
    assert "nobody is asked" in done.stderr
    server = daemon(models)
    assert "only this machine" in server.wait_for("no tokens")


def test_tokens_do_not_go_over_a_network_in_clear(deepsadd, models, tokens, daemon, tmp_path):
    token = tokens("kim", "score")
    done = refuse_start(deepsadd, models, tmp_path, "--listen", "0.0.0.0:0",
                        access__tokens=tokens.path)
    assert "tls.certificate" in done.stderr and "cleartext" in done.stderr
    server = daemon(models, listen="0.0.0.0:0", access__tokens=tokens.path,
                    server__insecure="cleartext")
    assert server.request("GET", "/v1/models").status == 401
    assert ask(server, token, "GET", "/v1/models").status == 200


def test_everybody_is_served_where_the_operator_insists(models, daemon):
    server = daemon(models, listen="0.0.0.0:0", server__insecure="open")
    assert server.request("GET", "/v1/models").status == 200
    assert server.wait_for("nobody is asked for a token")


@pytest.mark.parametrize("headers, status", [
    ({"Sec-Fetch-Site": "cross-site"}, 403), ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Sec-Fetch-Site": "same-origin"}, 200), ({"Sec-Fetch-Site": "none"}, 200),
    ({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403), ({}, 200)])
def test_pages_of_other_sites_command_nothing(server, headers, status):
    answer = server.request("POST", "/v1/models/m/score", ROW, headers)
    assert answer.status == status, answer.text
    assert server.request("GET", "/v1/models", headers=headers).status == 200


def test_pages_of_its_own_site_do(server):
    headers = {"Origin": f"http://{server.host}:{server.port}"}
    assert server.request("POST", "/v1/models/m/score", ROW, headers).status == 200


def test_what_browsers_read_can_do_nothing_in_them(server):
    headers = server.request("GET", "/v1/models").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"


# ---- Quotas -----------------------------------------------------------------------------

def test_a_client_over_its_quota_is_told_when_to_come_back(models, daemon):
    server = daemon(models, limits__client_rate=2, limits__client_burst=5)
    connection = server.connect()
    answers = [server.request("GET", "/v1/models", connection=connection) for _ in range(8)]
    assert [a.status for a in answers[:5]] == [200] * 5
    refused = answers[-1]
    assert refused.status == 429 and int(refused.headers["Retry-After"]) == 1
    assert refused.headers["RateLimit-Policy"] == '"requests";q=5;w=3'
    assert refused.headers["RateLimit"].startswith('"requests";r=0;t=')
    assert answers[0].headers["RateLimit"].startswith('"requests";r=4;')
    assert server.request("GET", "/v2/health/ready").status == 200
    time.sleep(1.1)
    assert server.request("GET", "/v1/models", connection=connection).status == 200


def test_each_token_has_a_quota_of_its_own(guarded, tokens):
    kim, lee = tokens("kim", "score"), tokens("lee", "score")
    server = guarded(limits__client_rate=0.1, limits__client_burst=3)
    assert [ask(server, kim, "GET", "/v1/models").status for _ in range(4)] == \
        [200, 200, 200, 429]
    assert ask(server, lee, "GET", "/v1/models").status == 200


def test_guessing_tokens_is_limited_by_the_address(guarded, tokens):
    kim = tokens("kim", "score")
    server = guarded(limits__client_rate=0.1, limits__client_burst=3)
    statuses = [ask(server, "guess", "GET", "/v1/models").status for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert ask(server, kim, "GET", "/v1/models").status == 200


def test_without_a_quota_nothing_is_said_of_one(server):
    assert "RateLimit" not in server.request("GET", "/v1/models").headers


# ---- Audit and secrets ------------------------------------------------------------------

def test_the_audit_says_who_did_what(guarded, tokens, tmp_path):
    ada = tokens("ada", "admin")
    server = guarded()
    label = ask(server, ada, "POST", "/v1/models/plant/labels", LABEL).json["labels"][0]
    ask(server, ada, "DELETE", f"/v1/models/plant/labels/{label['label_id']}")
    ask(server, ada, "POST", "/v1/models/plant/versions/1/activate")
    ask(server, ada, "POST", "/v2/repository/models/plant/unload")
    ask(server, ada, "POST", "/v2/repository/models/plant/load")
    server.request("GET", "/v1/models")
    lines = audit(tmp_path)
    assert [line["action"] for line in lines] == [
        "label.record", "label.withdraw", "version.activate", "model.unload", "model.load",
        "access.refuse"]
    assert all(line["name"] == "ada" and line["token"] == tokens.ids["ada"] and
               line["address"] == "127.0.0.1" and line["request_id"] for line in lines[:5])
    assert lines[0]["label_id"] == label["label_id"] and lines[0]["verdict"] == "normal"
    assert lines[5]["reason"] == "no token" and lines[5]["status"] == 401
    assert stat.S_IMODE(os.stat(tmp_path / "audit").st_mode) & 0o007 == 0


def test_refusals_cannot_fill_the_audit(guarded, tokens, tmp_path):
    tokens("kim", "score")
    server = guarded()
    connection = server.connect()
    for _ in range(300):
        server.request("GET", "/v1/models", connection=connection)
    time.sleep(0.2)
    server.request("GET", "/v1/models", connection=connection)
    lines = audit(tmp_path)
    assert 50 <= len(lines) <= 150
    assert sum(line["left_out_before"] for line in lines) + len(lines) >= 250


def test_the_audit_file_is_opened_anew_by_a_reload(guarded, tokens, tmp_path):
    ada = tokens("ada", "admin")
    server = guarded()
    ask(server, ada, "POST", "/v1/models/plant/labels", LABEL)
    (tmp_path / "audit").rename(tmp_path / "audit.1")
    server.signal(signal.SIGHUP)
    server.wait_for("reloaded")
    ask(server, ada, "POST", "/v1/models/plant/labels", LABEL)
    assert len((tmp_path / "audit.1").read_text().splitlines()) == 1
    assert len(audit(tmp_path)) == 1


def test_no_secret_is_anywhere(guarded, tokens, deepsadd, tmp_path):
    token = tokens("ada", "admin")
    secret = token.rsplit("_", 1)[1]
    server = guarded(log__level="debug", log__access="true", log__format="text")
    ask(server, token, "GET", "/v1/models")
    ask(server, token + "x", "GET", "/v1/models")
    ask(server, token, "GET", f"/v1/models/plant/labels?analyst={token}")
    metrics = ask(server, token, "GET", "/metrics").text
    printed = run(deepsadd, "--print-config").stdout
    for process in ("cmdline", "environ"):
        text = open(f"/proc/{server.pid}/{process}", encoding="utf-8", errors="replace").read()
        assert secret not in text
    assert server.stop() == 0
    said = "".join(server.stderr)
    places = [said, metrics, printed, (tmp_path / "audit").read_text(),
              tokens.path.read_text()]
    places += [p.read_bytes().decode("latin-1") for p in (tmp_path / "state0").iterdir()
               if p.is_file()]
    assert not any(secret in place for place in places)


# ---- The command ------------------------------------------------------------------------

def test_tokens_are_listed_without_their_secrets(deepsad, tokens):
    token = tokens("kim", "label:fraud-*", "score", options=("--expires", "90d"))
    listed = json.loads(run(deepsad, "token", "list", "--file", tokens.path,
                            "--json").stdout)["tokens"]
    assert [(one["name"], one["roles"]) for one in listed] == [("kim", "label:fraud-* score:*")]
    assert token.rsplit("_", 1)[1] not in run(deepsad, "token", "list", "--file",
                                               tokens.path).stdout
    assert stat.S_IMODE(tokens.path.stat().st_mode) == 0o640


@pytest.mark.parametrize("words, code, said", [
    (("new", "kim"), 2, "which roles"), (("new", "kim", "--role", "boss"), 1, "no role"),
    (("new", "kim", "--role", "label:A/b"), 1, "pattern"), (("new", "", "--role", "score"), 1,
                                                            "name"),
    (("new", "kim", "--role", "score", "--expires", "3"), 1, "--expires"),
    (("revoke", "lee"), 1, "no token"), (("what",), 2, "new, list or revoke")])
def test_wrong_calls_say_what_is_wrong(deepsad, tokens, words, code, said):
    tokens("ada", "admin")
    before = tokens.path.read_text()
    where = () if words == ("what",) else ("--file", tokens.path)
    done = run(deepsad, "token", *words, *where, check=False)
    assert done.returncode == code and said in done.stderr, done.stderr
    assert tokens.path.read_text() == before


def test_tokens_made_at_once_are_all_there(deepsad, tokens):
    makers = [subprocess.Popen([deepsad, "token", "new", f"t{i}", "--role", "score", "--file",
                                tokens.path], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL) for i in range(12)]
    assert [maker.wait() for maker in makers] == [0] * 12
    listed = json.loads(run(deepsad, "token", "list", "--file", tokens.path,
                            "--json").stdout)["tokens"]
    assert sorted(one["name"] for one in listed) == sorted(f"t{i}" for i in range(12))
