"""Finding constitutions, and the shipped ones."""

from __future__ import annotations

import pytest

from charter.constitutions import find_constitution, load_constitution, shipped_constitutions
from charter.errors import InputError


@pytest.mark.parametrize("name", sorted(shipped_constitutions()))
def test_each_shipped_constitution_loads_and_is_complete(name):
    constitution = load_constitution(shipped_constitutions()[name])
    assert constitution.name == name
    assert len(constitution.principles) >= 5
    assert constitution.sources and constitution.description
    for principle in constitution.principles:
        assert principle.comparison.startswith("Choose the response")
        assert principle.tags
        # Requests speak of the answer to the critic, never of places that only a judge sees.
        for text in (principle.critique, principle.revision):
            assert "Response A" not in text and "Response B" not in text
    texts = [t for p in constitution.principles for t in (p.critique, p.revision, p.comparison)]
    assert len(set(texts)) == len(texts)


def test_a_name_is_looked_for_among_the_shipped_then_here_then_beside_the_recipe(
    tmp_path, monkeypatch
):
    here, beside = tmp_path / "here", tmp_path / "beside"
    for folder in (here, beside):
        folder.mkdir()
        (folder / "hhh").write_text("x")
        (folder / "own.yaml").write_text("x")
    monkeypatch.chdir(here)
    assert find_constitution("hhh", beside) == shipped_constitutions()["hhh"]
    assert find_constitution("own.yaml", beside).resolve() == here / "own.yaml"
    (here / "own.yaml").unlink()
    assert find_constitution("own.yaml", beside) == beside / "own.yaml"
    assert find_constitution(str(beside / "own.yaml")) == beside / "own.yaml"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_constitution("~/beside/own.yaml") == beside / "own.yaml"
    with pytest.raises(InputError):
        find_constitution("own.yaml")


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("hh", 'did you mean "hhh"?'),
        ("consise", 'did you mean "concise"?'),
        ("zzz", "use one of: concise, hhh"),
        ("nowhere/x.yaml", "check the path"),
        ("nowhere/hh", "check the path"),
        ("hh.yaml", "check the path"),
        ("x" * 5000, "use one of: concise, hhh"),
        ("a\0b", "use one of: concise, hhh"),
        (".", "use one of: concise, hhh"),
    ],
)
def test_a_name_that_is_none_is_a_fault_with_a_way_out(name, fix):
    with pytest.raises(InputError) as caught:
        find_constitution(name)
    (fault,) = caught.value.faults
    assert fault.path == "constitution" and fault.fix == fix


def test_faults_name_the_file(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("name: own\n")
    with pytest.raises(InputError) as caught:
        load_constitution(path)
    assert {f.path for f in caught.value.faults} == {"version", "licence", "principles"}
    assert all(f.place == f"{path}:1:1" for f in caught.value.faults)
