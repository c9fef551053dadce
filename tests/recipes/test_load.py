"""Loading recipes: overrides, faults of everything at once, paths, and fingerprints."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from charter.documents import read_document
from charter.errors import InputError
from charter.recipes import check_recipe, load_recipe, shipped_recipes
from charter.recipes.load import model_identity, resolve
from charter.recipes.train import trl_fields

RECIPE = """\
name: small
seed: 3
constitution: concise
prompts: {path: prompts/shipped.jsonl}
models:
  generator: {llm: openai, model: m, base_url: 'http://127.0.0.1:9/v1', temperature: 0.7}
"""


STOP = "models.generator.stop"


def load(text=RECIPE, *overrides, path=Path("r.yaml")):
    loaded, faults = check_recipe(read_document(path, text), path, overrides)
    assert (loaded is None) == bool(faults)
    return loaded if loaded is not None else faults


def fault_of(text, *overrides):
    faults = load(text, *overrides)
    assert isinstance(faults, list) and len(faults) == 1, faults
    return faults[0]


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_each_shipped_recipe_loads_by_name_and_by_path(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    by_name = load_recipe(Path(name))
    assert by_name.recipe.name == name
    assert load_recipe(shipped_recipes()[name]).fingerprint() == by_name.fingerprint()
    # A folder of that name, as `charter init` makes, hides it no more than no file does.
    (tmp_path / name).mkdir()
    assert load_recipe(Path(name)).fingerprint() == by_name.fingerprint()
    with pytest.raises(InputError, match=f"{name}s: no such file"):
        load_recipe(Path(f"{name}s"))


def test_a_file_of_ones_own_comes_before_a_shipped_recipe_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("quickstart").write_text(RECIPE)
    assert load_recipe(Path("quickstart")).recipe.name == "small"


def test_a_recipe_is_called_as_its_file_unless_it_says_so():
    nameless = RECIPE.replace("name: small\n", "")
    assert load(nameless, path=Path("My Recipe (2).yaml")).recipe.name == "my-recipe--2"
    assert load(nameless, path=Path("日本.yaml")).recipe.name == "recipe"
    assert load(nameless, path=Path("_x" * 60)).recipe.name == ("x_" * 60)[:64]
    assert load(path=Path("other.yaml")).recipe.repo == "local/small"


@pytest.mark.parametrize(
    ("override", "reads"),
    [
        ("seed=4", lambda r: r.seed == 4),
        ("sft.rounds=4", lambda r: r.sft.rounds == 4),
        ("preference=false", lambda r: r.preference is False),
        ("sft={rounds: 5}", lambda r: r.sft.rounds == 5),
        ("preference.sources=[sampled, revised]", lambda r: len(r.preference.sources) == 2),
        ("models.generator.temperature=0", lambda r: r.models.generator.temperature == 0),
        ("models.judge={llm: local}", lambda r: r.models.judge.llm == "local"),
        ("models.judge.llm=local", lambda r: r.models.judge.llm == "local"),
        ("models.generator.options.a=[1]", lambda r: r.models.generator.options == {"a": [1]}),
        (" name = other", lambda r: r.name == "other"),
        ("prompts.columns.prompt='1.0'", lambda r: r.prompts.columns.prompt == "1.0"),
        ("prompts.limit=", lambda r: r.prompts.limit is None),
        ("publish.version=v1.0.0", lambda r: r.publish.version == "v1.0.0"),
        ("models.generator.stop.0=END", lambda r: r.models.generator.stop == ("END", "two")),
    ],
)
def test_an_option_sets_any_value(override, reads):
    text = RECIPE.replace("temperature: 0.7", "temperature: 0.7, stop: [one, two]")
    text = text + "sft: false\n" if override.startswith("sft.") else text
    assert reads(load(text, override).recipe)


def test_the_last_option_wins_and_all_are_applied():
    recipe = load(RECIPE, "seed=4", "seed=5", "sft.rounds=2", "sft={rounds: 3}").recipe
    assert recipe.seed == 5 and recipe.sft.rounds == 3


@pytest.mark.parametrize(
    ("override", "place", "path", "words"),
    [
        ("seed", "--set seed", "", "write --set a.b=value"),
        ("=3", "--set =3", "", "write --set a.b=value"),
        ("a..b=3", "--set a..b=3", "", "write --set a.b=value"),
        ("sed=3", "--set sed", "sed", 'did you mean "seed"?'),
        ("sft.round=3", "--set sft.round", "sft.round", 'did you mean "rounds"?'),
        ("models.judgee.llm=local", "--set models.judgee", "models.judgee", 'did you mean "judge"'),
        ("seed=-1", "--set seed", "seed", "at least 0"),
        ("seed='1'", "--set seed", "seed", "whole number"),
        ("seed=.nan", "--set seed", "seed", "not a finite number"),
        ("seed=0x" + "f" * 5000, "--set seed", "seed", "out of range"),
        ("seed=!!int x", "--set seed", "", "cannot be read as int"),
        ("seed.x=1", "--set seed", "seed", "whole number"),
        ("prompts.path.x=1", "--set prompts.path", "prompts.path", "not text"),
        ("constitution=hh", "--set constitution", "constitution", 'did you mean "hhh"?'),
        ("prompts.path=x.jsonl", "--set prompts.path", "prompts.path", "no such file"),
        ("sft.principles={zz: 1}", "--set sft.principles", "sft.principles.zz", "no principle"),
        (f"{STOP}.2=x", f"--set {STOP}.2", STOP, "no item 2"),
        (f"{STOP}.x=x", f"--set {STOP}.x", STOP, "no item x"),
        (f"{STOP}.-1=x", f"--set {STOP}.-1", STOP, "no item -1"),
        (f"{STOP}.1=3", f"--set {STOP}[1]", f"{STOP}[1]", "not text"),
        ("sft={a: 1, a: 2}", "--set sft", "a", "second time"),
        ("seed=010", "--set seed", "", "010 is 8 in YAML"),
        ("name=caf\udce9", "--set name", "", "is not UTF-8"),
        ("n\udce9.x=1", "--set n\udce9.x", "", "is not UTF-8"),
        ("sft=&a [*a]", "--set sft", "sft", "not a mapping"),
        ("sft={2020-01-01: 1}", "--set sft", "sft.2020-01-01", "there is no key"),
        ("models={generator: {top_p: 3}}", "--set models", "models.generator.top_p", "at most 1"),
        ("name=" + "é" * 3, "--set name", "name", "no identifier"),
    ],
)
def test_a_fault_of_an_option_names_the_option(override, place, path, words):
    text = RECIPE.replace("temperature: 0.7", "temperature: 0.7, stop: [one, two]")
    faults = load(text, override)
    (fault,) = [f for f in faults if f.path == path]
    assert fault.place == place
    assert words in f"{fault.what}; {fault.fix}"
    assert all(f.place.startswith("--set") for f in faults)


def test_everything_that_is_wrong_is_said_at_once(tmp_path):
    (tmp_path / "own.yaml").write_text("name: own\nversion: 1\n")
    text = (
        "nam: x\n"
        "seed: -1\n"
        "constitution: own.yaml\n"
        "prompts:\n"
        "  path: nowhere.jsonl\n"
        "  limit: 0\n"
        "models: {generator: {llm: locl}}\n"
        "train:\n"
        "  sft: {max_step: 3}\n"
    )
    path = tmp_path / "r.yaml"
    faults = load(text, "sft.rouns=1", path=path)
    assert [(f.place, f.path) for f in faults] == [
        ("--set sft.rouns", "sft.rouns"),
        (f"{path}:1:1", "nam"),
        (f"{path}:2:1", "seed"),
        (f"{path}:5:3", "prompts.path"),
        (f"{path}:6:3", "prompts.limit"),
        (f"{path}:7:22", "models.generator.llm"),
        (f"{path}:9:9", "train.sft.max_step"),
        (f"{tmp_path / 'own.yaml'}:1:1", "licence"),
        (f"{tmp_path / 'own.yaml'}:1:1", "principles"),
        (f"{tmp_path / 'own.yaml'}:2:1", "version"),
    ]
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_recipe(path)
    assert len(caught.value.faults) == 9


def test_faults_about_principles_do_not_wait_for_the_rest_to_be_right():
    text = RECIPE.replace("seed: 3", "seed: x") + (
        "sft:\n  principles: {breif: 1, concrete: -1}\n"
        "  few_shot: [{principle: zz}]\n"
        "preference: {principles: 99}\n"
    )
    faults = {f.path: f.what for f in load(text)}
    assert {"seed", "sft.principles.breif", "sft.principles.concrete"} <= faults.keys()
    assert "no principle" in faults["sft.few_shot[0].principle"]
    assert "asks for 99 of 6" in faults["preference.principles"]


def test_prompt_files_are_found_here_beside_the_recipe_and_among_the_shipped(tmp_path, monkeypatch):
    here, beside = tmp_path / "here", tmp_path / "beside"
    for folder in (here, beside):
        (folder / "data").mkdir(parents=True)
    monkeypatch.chdir(here)
    path = beside / "r.yaml"
    for name in ("b.jsonl", "a.jsonl", "c.csv.gz"):
        (beside / "data" / name).touch()
    (beside / "data" / "d.jsonl").mkdir()

    def files(pattern):
        loaded = load(RECIPE.replace("prompts/shipped.jsonl", pattern), path=path)
        assert not isinstance(loaded, list), loaded
        return [str(f) for f in loaded.prompt_files]

    data = str(beside / "data")
    assert files("data/a.jsonl") == [f"{data}/a.jsonl"]
    # A glob gives files alone, sorted, also where it is absolute.
    assert files("'data/*.jsonl'") == [f"{data}/a.jsonl", f"{data}/b.jsonl"]
    assert files(f"'{data}/*'") == [f"{data}/a.jsonl", f"{data}/b.jsonl", f"{data}/c.csv.gz"]
    (here / "data" / "a.jsonl").touch()
    assert files("data/a.jsonl") == ["data/a.jsonl"]
    shipped = files("prompts/shipped.jsonl")[0]
    assert Path(shipped).is_file() and "here" not in shipped
    (here / "prompts").mkdir()
    (here / "prompts" / "shipped.jsonl").touch()
    assert files("prompts/shipped.jsonl") == ["prompts/shipped.jsonl"]


def test_a_glob_leaves_hidden_files_out_unless_it_names_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    kept, hidden = Path("data/sub"), Path("data/.ipynb_checkpoints")
    for folder in (kept, hidden):
        folder.mkdir(parents=True)
    for path in (kept / "a.jsonl", kept / "._a.jsonl", hidden / "a-checkpoint.jsonl"):
        path.touch()
    beside = Path("recipes")

    def names(pattern):
        return [path.name for path in resolve(pattern, beside)]

    assert names("data/**/*.jsonl") == names("data/sub/*.jsonl") == ["a.jsonl"]
    assert names(f"{tmp_path}/data/sub/*") == names("~/data/sub/*") == ["a.jsonl"]
    assert names("recipes/../data/*/a*") == []  # there is no such folder to go back from
    beside.mkdir()
    assert names("recipes/../data/*/a*") == names("../data/*/a*") == ["a.jsonl"]
    assert names("data/.ipynb_checkpoints/*") == ["a-checkpoint.jsonl"]
    assert names("data/sub/.*") == ["._a.jsonl"]


def test_a_constitution_beside_the_recipe_keeps_a_name_that_finds_it_from_here(
    tmp_path, monkeypatch
):
    from charter.constitutions import find_constitution, shipped_constitutions

    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "sub"
    folder.mkdir()
    # Without a suffix the name and the file's stem are the same.
    for name in ("own", "own.yaml"):
        (folder / name).write_text(shipped_constitutions()["concise"].read_text())
        loaded = load(RECIPE.replace("concise", name), path=Path("sub/r.yaml"))
        assert find_constitution(loaded.constitution_name).samefile(folder / name)
    assert load().constitution_name == "concise"


def test_the_recipe_as_run_reads_back_as_the_same_recipe():
    loaded = load(RECIPE, "sft.rounds=4", "prompts.limit=3", "preference.mode=logprob")
    again = load(loaded.recipe_yaml)
    assert again.recipe == loaded.recipe and again.fingerprint() == loaded.fingerprint()
    assert yaml.safe_load(loaded.recipe_yaml)["sft"] == {"rounds": 4}
    assert "retries" not in loaded.recipe_yaml
    assert loaded.constitution_yaml.startswith("# concise")


@pytest.mark.parametrize(
    "override",
    [
        "name=other",
        "publish.repo=me/x",
        "train.sft={max_steps: 3}",
        "run.retries=9",
        "review.n=3",
        "evaluate.refusal={per_category: 3}",
        "models.generator.base_url=http://elsewhere/v1",
        "models.generator.api_key_env=OTHER",
        "models.generator.price={prompt: 1, completion: 1}",
        "sft={}",
        "preference={}",
        "sft.rounds=1",
        "schema_version=1",
        "models.judge={llm: openai, model: m, temperature: 0}",
        "models.critic={llm: openai, model: m, temperature: 0.7}",
    ],
)
def test_what_changes_no_row_changes_no_fingerprint(override):
    assert load(RECIPE, override).fingerprint() == load().fingerprint()


def test_comments_and_the_order_of_keys_change_no_fingerprint():
    data = yaml.safe_load(RECIPE)
    turned = yaml.safe_dump(dict(reversed(data.items())), sort_keys=False)
    assert load(f"# why\n{turned}").fingerprint() == load().fingerprint()


@pytest.mark.parametrize(
    "override",
    [
        "seed=4",
        "constitution=hhh",
        "prompts.limit=3",
        "prompts.seed=3",
        "prompts.test_fraction=0.3",
        "prompts.max_chars=10",
        "prompts.columns.prompt=text",
        "models.generator.temperature=0.8",
        "models.generator.max_tokens=9",
        "models.generator.top_p=0.5",
        "models.generator.stop=[x]",
        "models.generator.model=other",
        "models.generator.options={a: 1}",
        "models.judge={llm: openai, model: other}",
        "models.critic={llm: openai, model: other}",
        "models.reviser={llm: openai, model: m, temperature: 0.1}",
        "sft.rounds=2",
        "sft.principles=all",
        "sft=false",
        "preference=false",
        "preference.candidates=3",
        "preference.principles=all",
        "preference.mode=logprob",
        "preference.keep=margin",
        "preference.tie_band=0.1",
    ],
)
def test_what_changes_rows_is_in_the_fingerprint(override):
    more = ["preference.sources=[sampled]"] if override == "sft=false" else []
    assert load(RECIPE, override, *more).fingerprint() != load(RECIPE, *more).fingerprint()


def test_the_text_of_the_constitution_is_in_the_fingerprint(tmp_path):
    from charter.constitutions import shipped_constitutions

    own = tmp_path / "own.yaml"
    text = shipped_constitutions()["concise"].read_text()
    found = []
    for version in (
        text,
        f"# other\n{text}",
        text.replace("shorter", "short").replace("fewer", "few"),
    ):
        own.write_text(version)
        found.append(load(RECIPE.replace("concise", str(own))).fingerprint())
    assert found[0] == found[1] == load().fingerprint()
    assert found[2] != found[0]


def test_an_identity_holds_no_address_and_no_key():
    loaded = load(RECIPE, "models.generator.api_key_env=SECRET")
    for role in ("generator", "critic", "reviser", "judge"):
        text = str(model_identity(loaded.recipe, role))
        assert "127.0.0.1" not in text and "SECRET" not in text and "'m'" in text


def test_fields_of_the_trainers_are_known():
    fields = trl_fields()
    assert {"max_steps", "learning_rate"} <= fields["sft"].keys() & fields["dpo"].keys()
    assert "beta" in fields["dpo"]


def test_a_folder_of_prompts_is_named_by_its_files(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.jsonl").write_text('{"prompt": "x"}\n')
    (fault,) = load(RECIPE, f"prompts.path={tmp_path}/p/")
    assert fault.fix == f'name its files: "{tmp_path}/p/*.jsonl"'


def test_a_recipe_that_was_moved_says_where_its_files_are(tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("prompts.jsonl", "constitution.yaml"):
        (folder / name).write_text("")
    (folder / "recipe.yaml").write_text(
        "name: mine\nconstitution: mine/constitution.yaml\nprompts: {path: mine/prompts.jsonl}\n"
        "models: {generator: {llm: local}}\npublish: {repo: me/mine}\n"
    )
    monkeypatch.chdir(folder)
    with pytest.raises(InputError) as error:
        load_recipe(Path("recipe.yaml"))
    said = str(error.value)
    for name in ("prompts.jsonl", "constitution.yaml"):
        assert f'write "{name}", which stands beside the recipe' in said
