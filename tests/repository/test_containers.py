"""The container files as text: who runs, what may be written, which commands; and their steps in a plain venv."""

import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from oddwave.cli import app
from oddwave.version import __version__

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]


def instructions() -> list[tuple[str, str]]:
    """Give (word, rest) of every instruction of the Dockerfile, its lines joined."""
    lines = [line for line in DOCKERFILE.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in joined.splitlines()]


def last(word: str) -> str:
    """Give what the last instruction of this kind says."""
    return [rest for own, rest in instructions() if own == word][-1]


def understood(words: list[str]) -> None:
    """Parse an oddwave command; nothing is run."""
    command, words = get_command(app), list(words)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context(str(command.name), words)


def test_the_dockerfile_is_of_known_instructions_in_their_order() -> None:
    known = {
        "ARG",
        "FROM",
        "ENV",
        "WORKDIR",
        "RUN",
        "COPY",
        "USER",
        "VOLUME",
        "EXPOSE",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
    }
    words = [word for word, _ in instructions()]
    assert set(words) <= known
    assert words[:2] == ["ARG", "FROM"]
    assert words.count("FROM") == 2
    assert words.index("USER") > len(words) - words[::-1].index("RUN") - 1  # what runs as root comes before


def test_the_image_runs_as_nobody_in_particular() -> None:
    user, group = last("USER").split(":")
    assert int(user) >= 1000
    assert int(group) >= 1000
    assert f"--uid {user}" in DOCKERFILE
    assert last("VOLUME") == last("WORKDIR") == "/data"


def test_the_image_says_whether_it_is_well() -> None:
    check = last("HEALTHCHECK")
    port = last("EXPOSE")
    program = json.loads(check[check.index("CMD ") + 4 :])
    assert f"http://127.0.0.1:{port}/health" in program[-1]
    compile(program[-1], "HEALTHCHECK", "exec")


def test_versions_are_named() -> None:
    images = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    assert set(images) == {"python:${PYTHON}"}
    assert re.search(r"^ARG PYTHON=3\.\d+-", DOCKERFILE, re.MULTILINE)
    named = [service["image"] for service in SERVICES.values()]
    assert all(re.search(r":\d+\.\d+", image) for image in named)
    assert not any("latest" in image for image in named)
    assert f"oddwave:{'.'.join(__version__.split('.')[:2])}" in named
    assert "-c constraints.txt" in DOCKERFILE


def test_what_is_copied_is_sent() -> None:
    """.dockerignore begins with nothing, so every file that COPY takes must be named in it."""
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split() if line.startswith("!")}
    copied = {
        name for word, rest in instructions() if word == "COPY" and "--from" not in rest for name in rest.split()[:-1]
    }
    assert copied == sent
    assert all((ROOT / name).exists() for name in copied)


def test_extras_that_are_installed_exist() -> None:
    import tomllib

    known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    [asked] = re.findall(r'"\.\[([\w,]+)\]"', DOCKERFILE)
    assert set(asked.split(",")) <= set(known)


@pytest.mark.parametrize("name", SERVICES)
def test_services_cannot_write_where_they_should_not(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")
    assert name == "database" or int(service["user"].split(":")[0]) >= 1000
    assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", []))
    assert "healthcheck" in service or name == "oddwave"  # the image brings its own
    volumes = {volume.split(":")[0] for volume in service.get("volumes", []) if not volume.startswith(".")}
    assert volumes <= set(COMPOSE["volumes"])


def test_services_wait_for_what_exists_and_can_be_asked() -> None:
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            assert "healthcheck" in SERVICES[other]
            assert how["condition"] == "service_healthy"
    assert set(SERVICES["oddwave"]["depends_on"]) == {"database"}
    assert "@database/" in " ".join(SERVICES["oddwave"]["command"])
    assert any(word.startswith("mqtt://broker/") for word in SERVICES["watch"]["command"])


def test_no_secret_is_written_down() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert not re.search("TOKEN|PASSWORD", name) or re.fullmatch(rf"\$\{{{name}:\?[^}}]+\}}", value)


@pytest.mark.parametrize("name", ["oddwave", "watch", "image", "broken"])
def test_commands_are_understood(name: str) -> None:
    if name == "broken":
        with pytest.raises(Exception, match="--no-such-option"):
            understood(["serve", "a.model", "--no-such-option"])
        return
    assert json.loads(last("ENTRYPOINT")) == ["oddwave"]
    understood(json.loads(last("CMD")) if name == "image" else SERVICES[name]["command"])


def test_documented_containers_are_those_of_the_files() -> None:
    text = (ROOT / "docs" / "howto" / "docker.md").read_text(encoding="utf-8")
    blocks = re.sub(r"\\\n\s*", " ", "\n".join(re.findall(r"^```text\n(.*?)^```", text, re.DOTALL | re.MULTILINE)))
    image = SERVICES["oddwave"]["image"]
    commands = re.findall(rf"{re.escape(image)} ((?:serve|fit) [^`\n]*)", blocks + text)
    assert commands
    for line in commands:
        understood(shlex.split(line))
    assert set(re.findall(r"docker compose exec (\w+)", text)) <= set(SERVICES)
    assert set(re.findall(r"--build-arg (\w+)=", text)) <= {
        rest.split("=")[0] for word, rest in instructions() if word == "ARG"
    }


UNREACHABLE = "no matching distribution|could not find a version|connection|timed out|temporary failure|server error"
PATIENCE_S = 600.0  # of a machine that has other work


@pytest.mark.slow
def test_the_steps_of_the_image_in_a_plain_environment(tmp_path: Path) -> None:
    """The package is installed as the image does, without editing, beside what is installed here; then it serves."""
    place = tmp_path / "oddwave"
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    python = place / "bin" / "python"
    source = tmp_path / "build"
    source.mkdir()
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE", "src"):
        (source / name).symlink_to(ROOT / name)
    # torch and all else come from here: to fetch them again would take gigabytes
    libraries = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True
    ).stdout.strip()
    words = ["install", "-c", "constraints.txt", "--no-deps", ".[series,audio,serve,postgres,mqtt]"]
    not_passed_on = ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")
    quiet = {name: value for name, value in os.environ.items() if name not in not_passed_on}
    quiet["PYTHONPYCACHEPREFIX"] = str(tmp_path / "compiled")  # torch is compiled once, not by each process
    done = subprocess.run([str(python), "-m", "pip", *words], cwd=source, capture_output=True, text=True, env=quiet)
    if done.returncode and re.search(UNREACHABLE, done.stderr, re.IGNORECASE):
        pytest.skip(f"the build backend cannot be had: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    (Path(libraries) / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    make = (
        "import oddwave, numpy as np; assert 'site-packages' in oddwave.__file__ and 'build' not in oddwave.__file__\n"
        "wave = np.sin(np.arange(1500) / 5)[:, None] + 0.1 * np.random.default_rng(0).normal(size=(1500, 1))\n"
        "oddwave.Detector(oddwave.preset('fast')).fit(wave).save('models/model')\n"
    )
    subprocess.run([str(python), "-c", make], check=True, cwd=tmp_path, env=quiet)
    words = json.loads(last("CMD"))
    given = {"--host": "127.0.0.1", "--port": "0", "--history": str(tmp_path / "history.db")}
    words = [given.get(before, word) for before, word in zip(["", *words], words, strict=False)]
    _serves([str(place / "bin" / "oddwave"), *words], tmp_path, {**quiet, "ODDWAVE_TOKEN": "x" * 40})


def _serves(command: list[str], place: Path, environment: dict[str, str]) -> None:
    """Start a service; it is well by what the HEALTHCHECK asks, and ends in order."""
    with (place / "said").open("w+") as said:
        service = subprocess.Popen(command, cwd=place, env=environment, stdout=said, stderr=said)
        try:
            address, until = "", time.monotonic() + PATIENCE_S
            while not address and time.monotonic() < until and service.poll() is None:
                time.sleep(0.2)
                found = re.search(r"(http://127\.0\.0\.1:\d+)\D", (place / "said").read_text())  # all of the number
                address = found[1] if found else ""
            assert address, (place / "said").read_text()
            check = last("HEALTHCHECK")
            program = json.loads(check[check.index("CMD ") + 4 :])[-1].replace("http://127.0.0.1:8000", address)
            while True:
                done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment)
                if not done.returncode or time.monotonic() > until:
                    break
                time.sleep(0.2)
            assert done.returncode == 0, done.stderr
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"{address}/v1/models", timeout=PATIENCE_S)
            assert refused.value.code == 401
            refused.value.close()
            service.terminate()
            assert service.wait(PATIENCE_S) == 0, (place / "said").read_text()
        finally:
            service.kill()
            service.wait()
