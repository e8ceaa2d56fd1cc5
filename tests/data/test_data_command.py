"""`gtl data` as a person types it: what it prints, what it writes, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.cli.main import invoke


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    for variable in ("GTL_DATA", "GTL_ARTIFACTS", "GTL_MLRUNS", "GTL_DAGSTER", "GTL_EXPERIMENTS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GTL_ROOT", str(root))
    return root


@pytest.fixture
def files(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for label in ("cat", "dog"):
            for index in range(3):
                path = tmp_path / "files" / split / label / f"{index}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(path)
    return tmp_path / "files"


def test_an_imported_set_is_listed_and_shown_with_a_contact_sheet(
    files: Path, project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["data", "import", "pets", str(files), "--size", "8"]) == 0
    assert "pets: 12 images in 2 classes, 8×8×3" in capfd.readouterr().out
    assert invoke(["data", "list", "--json"]) == 0
    (row,) = json.loads(capfd.readouterr().out)
    assert row["splits"] == {"train": 6, "val": 0, "test": 6, "": 0}
    assert invoke(["data", "show", "pets", "--json"]) == 0
    shown = json.loads(capfd.readouterr().out)
    assert shown["counts"]["dog"] == {"train": 3, "val": 0, "test": 3, "": 0}
    assert shown["statistics"]["original_sizes"] == "12×12"
    sheet = Path(shown["contact_sheet"])
    assert sheet == project / "artifacts" / "contact-sheets" / "pets.png"
    assert Image.open(sheet).size[0] > 8 * 16


def test_how_many_images_have_no_label_is_told_wherever_a_set_is(
    files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (files / "train" / "dog").rename(files / "train" / "unlabelled")
    assert invoke(["data", "import", "pets", str(files), "--size", "8"]) == 0
    assert "pets: 12 images in 2 classes, 8×8×3; 3 without label" in capfd.readouterr().out
    assert invoke(["data", "list", "--json"]) == 0
    (row,) = json.loads(capfd.readouterr().out)
    assert (row["images"], row["unlabelled"], row["classes"]) == (12, 3, ["cat", "dog"])
    assert invoke(["data", "list"]) == 0
    assert capfd.readouterr().out.splitlines()[-1].split() == ["pets", "12", "3", "2", "8×8×3", "6", "0", "6", "0"]
    assert invoke(["data", "show", "pets", "--json"]) == 0
    shown = json.loads(capfd.readouterr().out)
    assert shown["unlabelled"] == 3
    assert {name: counts["train"] for name, counts in shown["counts"].items()} == {"cat": 3, "dog": 0}
    assert invoke(["data", "show", "pets"]) == 0
    assert capfd.readouterr().out.splitlines()[-1].split() == ["no", "label", "3", "0", "0", "0"]


def test_the_contact_sheet_goes_where_it_is_asked_for(files: Path, tmp_path: Path) -> None:
    assert invoke(["data", "import", "pets", str(files)]) == 0
    assert invoke(["data", "show", "pets", "--out", str(tmp_path / "sheet.png")]) == 0
    assert (tmp_path / "sheet.png").is_file()


def test_a_folder_in_the_place_of_the_contact_sheet_is_told_by_its_name(
    files: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["data", "import", "pets", str(files)]) == 0
    capfd.readouterr()
    before = sorted(tmp_path.rglob("*"))
    assert invoke(["data", "show", "pets", "--out", str(files)]) == 2
    assert capfd.readouterr() == ("", f"gtl: {files}: is a directory; name another file or folder\n")
    assert sorted(tmp_path.rglob("*")) == before


def test_skipped_images_are_named_on_standard_error(files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (files / "train" / "cat" / "bad.jpg").write_bytes(b"x")
    assert invoke(["data", "import", "pets", str(files)]) == 2
    assert "train/cat/bad.jpg" in capfd.readouterr().err
    assert invoke(["data", "import", "pets", str(files), "--skip-bad"]) == 0
    printed = capfd.readouterr()
    assert "12 images in 2 classes" in printed.out
    assert "1 skipped" in printed.out
    assert "skipped train/cat/bad.jpg: neither JPEG nor PNG" in printed.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["import", "pets", "nowhere"],
        ["import", "Pets!", "."],
        ["import", "pets", ".", "--channels", "2"],
        ["import", "pets", ".", "--size", "3"],
        ["show", "pets"],
        ["status"],
        ["pull"],
        ["commit"],
        ["push"],
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert invoke(["data", *arguments]) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert len(printed.err.strip().splitlines()) == 1


def test_an_empty_project_lists_no_sets_and_says_how_to_get_some(capfd: pytest.CaptureFixture[str]) -> None:
    assert invoke(["data", "list"]) == 0
    assert "gtl data pull" in capfd.readouterr().out


@pytest.mark.parametrize("limit", [300, 40_000])
def test_no_room_on_the_disk_is_one_line_and_leaves_nothing(limit: int, project: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "set.npz", images=rng.integers(0, 256, (200, 28, 28), dtype=np.uint8), labels=np.arange(200) % 2
    )
    program = (
        "import resource, sys; from pipelines.cli.main import invoke; "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); "
        f"sys.exit(invoke(['data', 'import', 'pets', {str(tmp_path / 'set.npz')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no disk space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((project / "data").iterdir()) == []
