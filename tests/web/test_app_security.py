"""What must be refused: paths outside, other origins, missing tokens, large uploads, files that are not media."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import processes

pytest.importorskip("fastapi", reason="the extra web is not installed")
from fastapi.testclient import TestClient

from tests.support.places import SAMPLE
from vidsr.errors import InputError, OptionsError
from vidsr.web import routes_files
from vidsr.web.allowed_paths import inside, safe_name
from vidsr.web.app import create_app
from vidsr.web.server_settings import WebSettings

TOKEN = "a-token-of-some-length"


def settings(root: Path, **more: object) -> WebSettings:
    values: dict[str, object] = {"roots": (root.resolve(),), "state": root.parent / "state"}
    return WebSettings(**(values | more)).check()  # type: ignore[arg-type]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    (folder / "inner").mkdir(parents=True)
    shutil.copy(SAMPLE, folder / "clip.mp4")
    (tmp_path / "secret.mp4").write_bytes(SAMPLE.read_bytes())
    (folder / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    (folder / "out").symlink_to(tmp_path)
    return folder


@pytest.fixture
def client(root: Path) -> Iterator[TestClient]:
    with TestClient(create_app(settings(root)), base_url="http://127.0.0.1:8765") as made:
        yield made


ESCAPES = [
    "../secret.mp4",
    "/etc/passwd",
    "inner/../../secret.mp4",
    "link.mp4",
    "out/secret.mp4",
    "out",
    "..",
    "/",
    "\0",
    "~/x",
]


@pytest.mark.parametrize("path", ESCAPES)
def test_paths_outside_the_roots_are_refused(client: TestClient, root: Path, path: str) -> None:
    assert client.get("/api/v1/inspect", params={"path": path}).status_code == 404
    assert client.get("/api/v1/files", params={"path": path}).status_code == 404
    assert client.get("/api/v1/findings", params={"path": path}).status_code == 404
    assert client.get("/api/v1/frame.jpg", params={"path": path}).status_code == 404
    assert client.post("/api/v1/estimates", json={"source": path}).status_code == 404
    assert client.post("/api/v1/jobs", json={"source": path}).status_code == 404
    assert client.post("/api/v1/previews", json={"source": path}).status_code == 404
    told = client.post("/api/v1/jobs", json={"source": "clip.mp4", "output": path + "/x.mkv"})
    assert told.status_code in (404, 422)
    assert client.get("/api/v1/jobs").json() == []


def test_only_a_finished_preview_is_mapped(client: TestClient) -> None:
    gone = client.post("/api/v1/maps", json={"preview": "20260101-0123456789ab"})
    assert gone.status_code == 404 and "make it again" in gone.json()["detail"]
    assert client.post("/api/v1/maps", json={"preview": "../clip.mp4"}).status_code == 422
    assert client.get("/api/v1/maps/20260101-0123456789ab/map.png").status_code == 404
    waiting = client.post("/api/v1/previews", json={"source": "clip.mp4", "options": {"model": "faithful"}}).json()[
        "id"
    ]
    for path in (f"maps/{waiting}", f"maps/{waiting}/map.png"):
        assert client.get(f"/api/v1/{path}").status_code == 404, "a preview is no map"


def test_listing_shows_only_what_is_inside(client: TestClient) -> None:
    names = [e["name"] for e in client.get("/api/v1/files").json()["entries"]]
    assert names == ["inner", "clip.mp4"]


def test_model_files_and_options_cannot_reach_outside(client: TestClient, root: Path) -> None:
    def submit(**options: object) -> tuple[int, str]:
        answer = client.post("/api/v1/jobs", json={"source": "clip.mp4", "options": options})
        return answer.status_code, answer.json()["detail"] if answer.status_code != 201 else ""

    for model in ("../weights.pth", "/etc/passwd", "out/x.safetensors"):
        assert submit(model=model)[0] == 422
    for name in ("encoder_options", "allow_network", "devices", "address", "engine", "device", "nonsense", "__class__"):
        status, detail = submit(**{name: "x"})
        assert status == 422 and "cannot be set here" in detail
    assert submit(crf="high")[0] == 422
    assert submit(scale=True)[0] == 422
    assert submit(scale=99)[0] == 422
    assert submit(overwrite=None)[0] == 422
    assert client.get("/api/v1/jobs").json() == []


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:8765"},
        {"host": "127.0.0.1.evil.example"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_other_pages_and_rebound_names_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    for answer in (
        client.get("/api/v1/files", headers=headers),
        client.post("/api/v1/jobs", json={"source": "clip.mp4"}, headers=headers),
        client.put("/api/v1/uploads/x.mp4", content=b"x", headers=headers),
    ):
        assert answer.status_code == 403
    assert client.get("/api/v1/jobs").json() == []


def test_own_pages_pass(client: TestClient) -> None:
    good = {"origin": "http://127.0.0.1:8765", "sec-fetch-site": "same-origin"}
    assert client.get("/api/v1/files", headers=good).status_code == 200
    assert client.get("/api/v1/files", headers={"host": "localhost:8765"}).status_code == 200
    assert client.get("/api/v1/files", headers={"host": "[::1]:8765"}).status_code == 200


def test_token_is_needed_where_others_can_reach(root: Path) -> None:
    with pytest.raises(OptionsError, match="--token"):
        settings(root, host="0.0.0.0")
    with pytest.raises(OptionsError, match="at least 16"):
        settings(root, host="0.0.0.0", token="short")
    app = create_app(settings(root, host="0.0.0.0", token=TOKEN))
    with TestClient(app, base_url="http://films.example:8765", follow_redirects=False) as client:
        for path in (
            "/",
            "/api/v1/files",
            "/openapi.json",
            "/page/app.js",
            "/?token=wrong",
            f"/api/v1/files?token={TOKEN}",
        ):
            assert client.get(path).status_code == 401
        assert client.get("/api/v1/files", headers={"authorization": "Bearer nonsense"}).status_code == 401
        assert client.get("/api/v1/files", headers={"cookie": "vidsr_token="}).status_code == 401
        assert client.get("/api/v1/files", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
        login = client.get(f"/?token={TOKEN}")
        assert login.status_code == 303 and login.headers["location"] == "/"
        cookie = login.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
        assert client.get("/api/v1/files").status_code == 200  # the client kept the cookie
        assert client.get("/api/v1/files", headers={"origin": "http://evil.example"}).status_code == 403


def test_uploads_are_bounded_and_checked(root: Path) -> None:
    app = create_app(settings(root, max_upload_bytes=100_000))
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:

        def put(name: str, content: object) -> int:
            return client.put(f"/api/v1/uploads/{name}", content=content).status_code  # type: ignore[arg-type]

        assert put("big.mp4", b"x" * 100_001) == 413
        assert put("big.mp4", (b"x" * 50_000 for _ in range(3))) == 413  # chunked: no length is announced
        assert put("text.mp4", b"not a video") == 422
        assert put("page.html", b"<script>alert(1)</script>") == 422
        assert put("empty.png", b"") == 422
        assert list((root / "vidsr-uploads").iterdir()) == []
        sample = SAMPLE.read_bytes()
        assert put("..%2F..%2Fevil.mp4", sample) in (201, 404)
        assert put("..%5C..%5Cevil.mp4", sample) == 201
        assert put("good.mp4", sample) == 201
        assert put("good.mp4", sample) == 201
        names = sorted(p.name for p in (root / "vidsr-uploads").iterdir())
        assert "good.mp4" in names and "good (2).mp4" in names
        assert all(p.parent == root / "vidsr-uploads" for p in (root / "vidsr-uploads").rglob("*"))
        assert not (root.parent / "evil.mp4").exists()


def test_an_upload_is_answered_with_the_name_it_got(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one takes the name while this one is still being read."""
    app = create_app(settings(root))
    taken = root / "vidsr-uploads" / "clip.mp4"

    async def slow(request: object, part: Path) -> None:
        taken.write_bytes(b"another one's")

    monkeypatch.setattr(routes_files, "inspected", slow)
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        answer = client.put("/api/v1/uploads/clip.mp4", content=SAMPLE.read_bytes())
    assert answer.status_code == 201
    path = root / answer.json()["path"]
    assert path.name == "clip (2).mp4"
    assert path.read_bytes() == SAMPLE.read_bytes()
    assert taken.read_bytes() == b"another one's"


def test_headers_keep_the_browser_in_its_place(client: TestClient) -> None:
    for path in ("/", "/page/app.js", "/api/v1/about", "/api/v1/nothing"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
    page = client.get("/").text + client.get("/page/app.js").text + client.get("/page/style.css").text
    assert "//" not in page.replace("http://www.w3.org/2000/svg", "").replace("// ", "")
    assert client.get("/docs").status_code == 404  # FastAPI's own page would load scripts from elsewhere


def test_ids_of_jobs_are_not_paths(client: TestClient, root: Path) -> None:
    for run_id in ("..", "..%2F..", "x", "20260101-0123456789ab", "20260101-0123456789AB"):
        for tail in ("", "/result", "/master", "/report", "/events", "/thumbnail.jpg"):
            assert client.get(f"/api/v1/jobs/{run_id}{tail}").status_code in (404, 422)


def test_a_result_that_became_a_link_is_not_given_out(client: TestClient, root: Path) -> None:
    run = client.post("/api/v1/jobs", json={"source": "clip.mp4", "output": "made.mkv"}).json()
    client.post(f"/api/v1/jobs/{run['id']}/cancel")
    folder = root.parent / "state" / run["id"]
    (root / "made.mkv").symlink_to(root.parent / "secret.mp4")
    outcome = {"state": "done", "result": {"output": str(root / "made.mkv")}}
    (folder / "outcome.json").write_text(json.dumps(outcome))
    assert client.get(f"/api/v1/jobs/{run['id']}/result").status_code == 404


def test_a_master_is_given_out_for_jobs_that_made_one_alone(client: TestClient, root: Path) -> None:
    for name, options in (("made", {"masters": True}), ("other", {})):
        wanted = {"source": "clip.mp4", "output": f"{name}.mp4", "options": options}
        run = client.post("/api/v1/jobs", json=wanted).json()
        client.post(f"/api/v1/jobs/{run['id']}/cancel")
        assert run["has_master"] is False
        assert client.get(f"/api/v1/jobs/{run['id']}/master").status_code == 404
        for file in (f"{name}.mp4", f"{name}.master.mkv"):
            (root / file).write_bytes(file.encode())
        outcome = {"state": "done", "result": {"output": str(root / f"{name}.mp4")}}
        (root.parent / "state" / run["id"] / "outcome.json").write_text(json.dumps(outcome))
        answer = client.get(f"/api/v1/jobs/{run['id']}/master")
        known = client.get(f"/api/v1/jobs/{run['id']}").json()["has_master"]
        assert (answer.status_code, known) == ((200, True) if options else (404, False))
        if options:
            assert answer.content == b"made.master.mkv" and "made.master.mkv" in answer.headers["content-disposition"]
            (root / "made.master.mkv").unlink()
            (root / "made.master.mkv").symlink_to(root.parent / "secret.mp4")
            assert client.get(f"/api/v1/jobs/{run['id']}/master").status_code == 404


def test_names_of_uploads() -> None:
    assert safe_name("../../a.mp4") == "a.mp4"
    assert safe_name("C:\\films\\b.mkv") == "b.mkv"
    assert safe_name('<img src=x onerror="alert(1)">.mp4') == "_img src=x onerror=_alert(1)__.mp4"
    assert safe_name("") == safe_name("..") == "upload"
    assert len(safe_name("ü" * 500 + ".mp4").encode()) < 255
    assert safe_name("a\x00b\n.mp4") == "a_b_.mp4"


def test_inside_follows_links(root: Path) -> None:
    roots = (root.resolve(),)
    assert inside("inner", roots) == root.resolve() / "inner"
    assert inside(str(root / "clip.mp4"), roots).name == "clip.mp4"
    loop = root / "loop"
    loop.symlink_to(loop)
    for bad in ("loop/x", "x" * 5000, ""):
        with pytest.raises(InputError):
            inside(bad, roots)


def test_without_the_extra_one_line_says_what_to_install() -> None:
    program = "import sys; sys.modules['fastapi'] = None; from vidsr.cli.main import run; sys.exit(run(['serve']))"
    done = processes.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "vidsr-esrgan[web]" in done.stderr
